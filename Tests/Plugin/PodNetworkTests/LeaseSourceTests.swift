import CNI
import JSON
import Linux
internal import NodeState
@testable import PodNetwork
import Testing
import TestSupport

@Suite struct LeaseSourceTests {
  private func source(_ keys: JSONObject) throws -> LeaseSource { try LeaseSource(JSONFields(keys), for: .causeway) }

  private func state(_ keys: JSONObject) throws -> StateDirectory {
    try StateDirectory(JSONFields(keys), for: .causeway)
  }

  @Test func defaults() throws {
    let source = try source([:])
    #expect(source.subnetFiles == ["/run/causeway/subnet.env", "/run/flannel/subnet.env"])
    #expect(try state([:]).path == "/run/causeway")
    #expect(try state([:]).agentLock == "/run/causeway/agent.lock")
    #expect(source.helper == nil)
  }

  @Test func defaultsOfTheHelper() throws {
    let source = try source(["hostgw": [:]])
    #expect(source.subnetFiles == LeaseSource.defaultSubnetFiles(for: .causeway))
    #expect(source.helper?.nodesFile == "/etc/causeway/nodes.json")
    #expect(source.helper?.options == [:])
  }

  /// The helper must write the file that the plugin reads.
  @Test(
    arguments: [
      (["subnetFile": "/a.env"], "/a.env", nil), (["hostgw": ["subnet-file": "/b.env"]], "/b.env", "/b.env"),
      (["subnetFile": "/a.env", "hostgw": [:]], "/a.env", "/a.env"),
      (["subnetFile": "/a.env", "hostgw": ["subnet-file": "/b.env"]], "/a.env", "/a.env"),
      (["subnetFile": "", "hostgw": ["subnet-file": "/b.env"]], "/b.env", "/b.env"),
    ] as [(JSONObject, String, String?)])
  func configuredSubnetFileIsTheOnlyOne(keys: JSONObject, file: String, helpers: String?) throws {
    let source = try source(keys)
    #expect(source.subnetFiles == [file])
    #expect(source.helper?.options["subnet-file"]?.string == helpers)
  }

  @Test func optionsArePassedToTheHelperUnchanged() throws {
    let keys: JSONObject = [
      "hostgw": ["store": "file", "nodes-file": "/n.json", "state-dir": "/state", "ip-masq": true]
    ]
    #expect(try state(keys).path == "/state")
    let helper = try #require(try source(keys).helper)
    #expect(helper.nodesFile == "/n.json")
    #expect(helper.options == ["store": "file", "nodes-file": "/n.json", "state-dir": "/state", "ip-masq": true])
  }

  /// Every key of a configuration matches in any case; the helper would refuse upper case.
  @Test func optionNamesAreLowercased() throws {
    let helper = try #require(try source(["HostGW": ["Store": "file", "NODES-FILE": "/n.json"]]).helper)
    #expect(helper.nodesFile == "/n.json")
    #expect(helper.options == ["store": "file", "nodes-file": "/n.json"])
  }

  /// An empty text is not a path: files below it would be in the root directory.
  @Test func emptyTextsAreDefaults() throws {
    let keys: JSONObject = [
      "subnetFile": "", "hostgw": ["state-dir": "", "nodes-file": "", "store": "", "subnet-file": ""],
    ]
    let source = try source(keys)
    #expect(source.subnetFiles == LeaseSource.defaultSubnetFiles(for: .causeway))
    #expect(try state(keys).path == "/run/causeway")
    #expect(source.helper?.nodesFile == "/etc/causeway/nodes.json")
    #expect(source.helper?.options == [:])
  }

  @Test(arguments: ["etcd", "kubernetes", "File"]) func storesOtherThanFileNeedTheAgent(_ store: String) throws {
    let error = try #require(answer { _ = try source(["hostgw": ["store": .string(store)]]) })
    #expect(error.code == .invalidConfiguration)
    #expect(error.message == "hostgw.store must be \"file\", but is \"\(store)\"")
    #expect(error.details.contains("causeway-hostgw run"))
  }

  /// DEL and GC use the paths that ADD used, even if other keys are invalid.
  @Test func readableKeysOfAnInvalidConfigurationAreUsed() throws {
    let broken = JSONFields(["subnetFile": 5, "hostgw": ["store": "etcd", "state-dir": "/state", "nodes-file": 7]])
    let source = LeaseSource(lenient: broken, for: .causeway)
    #expect(StateDirectory(lenient: broken, for: .causeway).path == "/state")
    #expect(source.subnetFiles == LeaseSource.defaultSubnetFiles(for: .causeway))
    #expect(source.helper == nil)
    let noObject = JSONFields(["subnetFile": "/a.env", "hostgw": "x"])
    let other = LeaseSource(lenient: noObject, for: .causeway)
    #expect(StateDirectory(lenient: noObject, for: .causeway).path == "/run/causeway")
    #expect(other.subnetFiles == ["/a.env"])
  }

  @Test func subnetFileIsRead() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("subnet.env")
    let source = try source(["subnetFile": .string(path)])
    #expect(try source.read() == nil)
    let handOff = HandOff(source: source, state: StateDirectory(directory.file("state")), searchPath: [])
    #expect(try handOff.lease(isNeeded: true) == nil)
    let lease = try lease("10.244.1.1/24")
    try Files.write(path, Array(lease.text.utf8))
    #expect(try source.read() == lease)
    try Files.write(path, Array("FLANNEL_MTU=x\n".utf8))
    let error = try #require(answer { _ = try handOff.lease(isNeeded: true) })
    #expect(error.code == .tryAgainLater)
    #expect(error.details.contains(path))
  }

  @Test func helperIsFoundOnTheSearchPath() throws {
    let directory = try TemporaryDirectory()
    #expect(HandOff.findHelper([directory.path]) == nil)
    try Files.makeDirectory(directory.file("other/causeway-hostgw"))
    try Files.write(directory.file("causeway-hostgw"), [], mode: 0o755)
    #expect(
      HandOff.findHelper(["/nowhere", directory.file("other"), directory.path])
        == directory.file("causeway-hostgw"))
  }
}
