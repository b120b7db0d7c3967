import Addresses
import CNI
import JSON
import Testing

@Suite struct NetworkConfigurationTests {
  private func parse(_ text: String, _ verb: Verb = .add) throws(CNIError) -> NetworkConfiguration {
    try NetworkConfiguration(Array(text.utf8), for: verb)
  }

  private func parse(_ object: JSONObject, _ verb: Verb = .add) throws -> NetworkConfiguration {
    try parse(JSONValue.object(object).text(), verb)
  }

  @Test func commonKeysAreRead() throws {
    let network = try parse(#"{"cniVersion": "1.0.0", "name": "podnet", "type": "causeway", "bridge": "br7"}"#)
    #expect(network.version == SpecVersion(1, 0, 0))
    #expect(network.name == "podnet")
    #expect(network.type == "causeway")
    #expect(network.previousResult == nil)
    #expect(try network.fields.string("bridge") == "br7")
  }

  /// Users rely on what Go's encoding/json accepts.
  @Test func keysFoldCaseNullIsAbsentUnknownKeysPassAndTheLastDuplicateCounts() throws {
    let network = try parse(
      #"{"CNIVERSION": null, "Name": "first", "name": "second", "type": null, "colour": {"red": [1, 2]}}"#)
    #expect(network.version == SpecVersion(0, 1, 0))
    #expect(network.name == "second")
    #expect(network.type == "")
  }

  @Test(arguments: SpecVersion.supported) func everySupportedVersionIsAccepted(_ version: SpecVersion) throws {
    #expect(try parse(["cniVersion": .string(version.description), "name": "n"]).version == version)
  }

  @Test(arguments: ["{\"name\": \"n\"}", "{\"name\": \"n\", \"cniVersion\": \"\"}"])
  func noVersionMeansTheFirst(_ text: String) throws {
    #expect(try parse(text).version == SpecVersion(0, 1, 0))
  }

  @Test(arguments: ["1.0.1", "1.0", "1", "01.0.0", "0.3.2", "1.2.0", "9.9.9", "v1.0.0", "x", " 1.0.0"])
  func otherVersionsAreRefused(_ version: String) {
    let list = #""0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0""#
    #expect(
      thrown { _ = try parse(["cniVersion": .string(version), "name": "n"]) }
        == CNIError(
          .incompatibleVersion, "incompatible CNI versions",
          details: "config is \"\(version)\", plugin supports [\(list)]"))
  }

  struct Gate: Sendable, CustomTestStringConvertible {
    let verb: Verb
    let version: String
    let code: CNIError.Code?
    let message: String
    var testDescription: String { "\(verb.rawValue) \(version)" }

    init(_ verb: Verb, _ version: String, _ code: CNIError.Code? = nil, _ message: String = "") {
      self.verb = verb
      self.version = version
      self.code = code
      self.message = message
    }
  }

  static let gates = [
    Gate(.check, "0.4.0"), Gate(.check, "1.0.0"), Gate(.check, "1.1.0"),
    Gate(.check, "0.3.1", .incompatibleVersion, "config version does not allow CHECK"),
    Gate(.check, "", .incompatibleVersion, "config version does not allow CHECK"),
    Gate(.check, "1.1.1", .incompatibleVersion, "plugin version does not allow CHECK"),
    Gate(.check, "1.0.1", .incompatibleVersion, "incompatible CNI versions"),
    Gate(.check, "x", .decodingFailure, "cniVersion must be a version such as 1.0.0, but is \"x\""),
    Gate(.collect, "1.1.0"), Gate(.status, "1.1.0"),
    Gate(.collect, "1.0.0", .incompatibleVersion, "config version does not allow GC"),
    Gate(.status, "1.0.0", .incompatibleVersion, "config version does not allow STATUS"),
    Gate(.collect, "2.0.0", .incompatibleVersion, "plugin version does not allow GC"),
    Gate(.status, "2", .incompatibleVersion, "plugin version does not allow STATUS"),
    Gate(.status, "1.0.0.0", .decodingFailure, "cniVersion must be a version such as 1.0.0, but is \"1.0.0.0\""),
    Gate(.add, "0.1.0"), Gate(.delete, "0.1.0"),
    Gate(.delete, "9.9.9", .incompatibleVersion, "incompatible CNI versions"),
  ]

  @Test(arguments: gates) func verbsNeedTheVersionThatIntroducedThem(_ gate: Gate) {
    let error = thrown { _ = try parse(["cniVersion": .string(gate.version), "name": "n"], gate.verb) }
    #expect(error?.code == gate.code)
    #expect(error?.message ?? "" == gate.message)
  }

  /// The order of checks is JSON, name, verb, version.
  @Test(arguments: [
    (#"{"cniVersion": 1"#, CNIError.Code.decodingFailure, "error unmarshall network config: "),
    (#"[1]"#, .decodingFailure, "the network configuration must be a JSON object, but is an array"),
    (#"{"cniVersion": 1, "name": ""}"#, .decodingFailure, "cniVersion must be a string, but is 1"),
    (#"{"cniVersion": "x", "name": null}"#, .invalidConfiguration, "missing network name"),
    (#"{"cniVersion": "x", "name": "a/b"}"#, .invalidConfiguration, "invalid characters found in network name"),
    (#"{"cniVersion": "x", "name": "n"}"#, .decodingFailure, "cniVersion must be a version"),
    (#"{"cniVersion": "0.1.0", "name": "n", "prevResult": 1}"#, .incompatibleVersion, "does not allow CHECK"),
    (#"{"cniVersion": "1.0.0", "name": "n", "prevResult": 1}"#, .decodingFailure, "prevResult must be an object"),
    (
      #"{"cniVersion": "1.0.0", "name": "n", "prevResult": {"ips": [{"address": "10.0.0.1"}]}}"#, .decodingFailure,
      "cannot read prevResult: prevResult.ips[0].address must be an address with a prefix length"
    ),
  ])
  func errorsHaveTheReferencesOrder(text: String, code: CNIError.Code, message: String) throws {
    let error = try #require(thrown { _ = try parse(text, .check) })
    #expect(error.code == code && error.message.contains(message), "\(error)")
  }

  @Test func aNameMustFitADirectory() throws {
    let longest = String(repeating: "n", count: 200)
    #expect(try parse(["name": .string(longest)]).name == longest)
    let error = try #require(thrown { _ = try parse(["name": .string(longest + "n")]) })
    #expect(error.code == .invalidConfiguration)
  }

  @Test func thePreviousResultIsRead() throws {
    let network = try parse(
      #"{"cniVersion": "0.4.0", "name": "n", "prevResult": {"ips": [{"version": "4", "address": "10.1.0.5/16"}]}}"#)
    #expect(network.previousResult?.ips.map(\.address.description) == ["10.1.0.5/16"])
  }

  @Test func deleteIgnoresAnInvalidPreviousResult() throws {
    let text = #"{"cniVersion": "1.0.0", "name": "n", "prevResult": {"ips": 5}}"#
    #expect(try parse(text, .delete).previousResult == nil)
    #expect(thrown { _ = try parse(text, .add) }?.code == .decodingFailure)
  }
}
