import JSON
import Testing
import TestSupport

@testable import CNI

/// Damaged environments and results of other plugins.
@Suite struct CNIMutationTests {
  private static let variables = [
    "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "8cc2f2b2-9b4e.a_b", "CNI_NETNS": "/run/netns/a", "CNI_IFNAME": "eth0",
    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=x;MAC=0a:58:0a:f4:01:07", "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
  ]

  /// Accepted values are safe as names of files, links and rules.
  @Test(arguments: 0..<2 as Range<UInt64>) func anEnvironmentIsRefusedOrHarmless(seed: UInt64) throws {
    var mutations = CNIMutationTests.variables.mapValues { Mutations(of: [$0], seed: seed) }
    let names = CNIMutationTests.variables.keys.sorted()
    var taken = 0
    for number in 0..<2000 {
      let name = names[number % names.count]
      var variables = CNIMutationTests.variables
      // As getenv(3) returns it: up to the first NUL.
      let text = mutations[name]?.next() ?? []
      variables[name] = String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
      do throws(CNIError) {
        let invocation = try Invocation(environment: { variables[$0] })
        _ = try Arguments(invocation.arguments, known: ["MAC", "IP"])
        taken += 1
        guard [.add, .check, .delete].contains(invocation.verb) else { continue }
        #expect(Name.isValid(invocation.containerID))
        #expect((1...15).contains(invocation.interfaceName.utf8.count))
        #expect(!invocation.interfaceName.utf8.contains { $0 <= 0x20 || [0x2F, 0x3A, 0x25].contains($0) })
        #expect(invocation.interfaceName != "." && invocation.interfaceName != "..")
      } catch {
        #expect(error.code == .invalidEnvironment && !error.message.isEmpty, "\(error)")
        #expect(throws: Never.self) { try error.json.text() }
      }
    }
    #expect(taken > 200)
  }

  private static let results = [
    #"""
    {"cniVersion":"1.1.0","interfaces":[{"name":"cni0","mac":"0a:00:00:00:00:01","mtu":1500},{"name":"eth0",
    "sandbox":"/run/netns/a"}],"ips":[{"address":"10.1.0.9/24","gateway":"10.1.0.1","interface":1},
    {"address":"fd00::9/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1400,"table":7,"scope":0}],
    "dns":{"nameservers":["10.96.0.10"],"domain":"x","search":["a"],"options":["ndots:5"]}}
    """#,
    #"{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.9/24","gateway":"10.1.0.1","routes":[{"dst":"10.0.0.0/8"}]},"dns":{}}"#,
  ]

  /// A delegate's result is refused, or written in every version and read back equal.
  @Test(arguments: 0..<2 as Range<UInt64>) func aResultIsRefusedOrReadBackEqual(seed: UInt64) throws {
    func result(_ text: [UInt8]) throws(JSONError) -> AttachmentResult {
      try AttachmentResult(JSONFields(document: JSONValue(parsing: text), name: "it"), version: .current)
    }
    var mutations = Mutations(of: CNIMutationTests.results, seed: seed)
    var understood = 0
    for _ in 0..<800 {
      guard let whole = try? result(mutations.next()) else { continue }
      understood += 1
      for version in SpecVersion.supported {
        guard let json = try? whole.json(version) else {
          // Only the oldest versions cannot describe an attachment without an address.
          #expect(whole.ips.isEmpty && version < SpecVersion(0, 3, 0))
          continue
        }
        let again = try result(Array(json.text().utf8))
        if version == .current {
          #expect(again.ips == whole.ips && again.routes.map(\.destination) == whole.routes.map(\.destination))
        }
      }
    }
    #expect(understood > 40)
  }
}
