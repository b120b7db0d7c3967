internal import Attachments
import CNI
import JSON
@testable import PodNetwork
import Testing

/// Attachments that GC must keep. A mistake here removes the network of running pods.
@Suite struct CollectTests {
  private func valid(_ keys: JSONObject) throws -> [String]? {
    try validAttachments(network(keys, for: .collect))?.map(\.key)
  }

  @Test func absentKeyMeansNoList() throws {
    #expect(try valid([:]) == nil)
    #expect(try valid(["cni.dev/valid": []]) == nil)
  }

  @Test(arguments: ["cni.dev/valid-attachments", "cni.dev/attachments", "CNI.dev/Valid-Attachments"])
  func allSpellingsOfTheKeyAreRead(_ key: String) throws {
    #expect(try valid([JSONObject.Member(name: key, value: .null)]) == [])
    #expect(try valid([JSONObject.Member(name: key, value: [])]) == [])
    let list: JSONValue = [
      ["containerID": "a", "ifname": "eth0"], ["containerID": "b", "ifname": "net1", "network": "other"],
    ]
    #expect(try valid([JSONObject.Member(name: key, value: list)]) == ["net:a:eth0", "net:b:net1"])
  }

  /// libcni writes both keys; the key of the specification is used.
  @Test func keyOfTheSpecificationOverridesLibcnis() throws {
    #expect(
      try valid([
        "cni.dev/attachments": [["containerID": "old", "ifname": "eth0"]],
        "cni.dev/valid-attachments": [["containerID": "new", "ifname": "eth0"]],
      ]) == ["net:new:eth0"])
  }

  @Test(
    arguments: [
      ("x", "cni.dev/valid-attachments must be an array, but is \"x\""), (["x"], "attachments[0] must be an object"),
      ([["ifname": "eth0"]], "cni.dev/valid-attachments[0].containerID is missing"),
      (
        [["containerID": "a", "ifname": "eth0"], ["containerID": "b"]], "cni.dev/valid-attachments[1].ifname is missing"
      ),
      ([["containerID": 5, "ifname": "eth0"]], "cni.dev/valid-attachments[0].containerID must be a string, but is 5"),
    ] as [(JSONValue, String)])
  func unreadableListIsAnError(list: JSONValue, message: String) throws {
    let error = try #require(answer { _ = try valid(["cni.dev/valid-attachments": list]) })
    #expect(error.code == .invalidConfiguration && error.message.contains(message), "\(error)")
  }

  private func valid(_ members: [JSONObject.Member]) throws -> [String]? { try valid(JSONObject(members)) }
}
