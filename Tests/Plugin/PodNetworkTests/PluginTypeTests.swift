import Addresses
import CNI
import IPAM
import JSON
import NodeState
@testable import PodNetwork
import Testing
import TestSupport

/// The plugin type of an execution, and the defaults of each type.
@Suite struct PluginTypeTests {
  @Test(arguments: [
    ("/opt/cni/bin/causeway", PluginType.causeway), ("causeway", .causeway), ("/opt/cni/bin/bridge", .bridge),
    ("./flannel", .flannel), ("host-local", .ipam), ("/opt/cni/bin/causeway.new", .causeway), ("", .causeway),
    ("/", .causeway), ("/opt/bridge/x", .causeway),
  ])
  func programNameSelectsTheType(path: String, type: PluginType) throws {
    #expect(PluginType(programPath: path, try network()) == type)
  }

  static let types: [(JSONObject, PluginType)] = [
    (["type": "macvlan", "ipam": ["type": "causeway"]], .ipam),
    (["type": "macvlan", "ipam": ["type": "host-local"]], .causeway),
    (["type": "causeway", "ipam": ["type": "causeway"]], .causeway), (["type": "macvlan", "ipam": 5], .causeway),
    (["type": "macvlan"], .causeway),
  ]

  @Test(arguments: types)
  func causewayIsTheIPAMPluginOfAnotherPlugin(keys: JSONObject, type: PluginType) throws {
    #expect(PluginType(programPath: "causeway", try network(keys)) == type)
    #expect(PluginType(programPath: "bridge", try network(keys)) == .bridge)
  }

  @Test func defaultsOfBridge() throws {
    let configuration = try bridge()
    #expect(
      !configuration.bridged.gateways.isEnabled && !configuration.routes.hasDefault
        && !configuration.bridged.port.hairpin)
    #expect(!configuration.hasAddresses)
    #expect(configuration.leaseSource.subnetFiles == [])
    let gateway = try bridge(["isDefaultGateway": true])
    #expect(gateway.bridged.gateways.isEnabled && gateway.routes.hasDefault)
    #expect(try bridge(["isGateway": true]).routes.hasDefault == false)
  }

  private func bridge(_ keys: JSONObject = [:]) throws -> AttachmentConfiguration {
    try configuration(keys, as: .bridge)
  }

  @Test func bridgeWithCausewayIPAMUsesTheLease() throws {
    let configuration = try bridge(["ipam": ["type": "causeway"]])
    #expect(configuration.leaseSource.subnetFiles == ["/run/causeway/subnet.env", "/run/flannel/subnet.env"])
    let plan = try AddressPlan(configuration, lease("10.244.1.1/24"))
    #expect(texts(plan.rangeSets.flatMap(\.ranges).map(\.subnet)) == ["10.244.1.0/24"])
    // The reference bridge plugin masquerades only if its configuration asks for it, whatever the lease says.
    #expect(!plan.masquerades)
  }

  @Test func flannelTypeUsesTheLeaseRanges() throws {
    let keys: JSONObject = [
      "ipam": ["Ranges": [[["subnet": "10.9.0.0/24"]]], "subnet": "10.8.0.0/24", "dataDir": "/d"]
    ]
    let configuration = try configuration(keys, as: .flannel)
    #expect(configuration.addressing?.rangeSets == [] && configuration.addressing?.dataDirectory == "/d")
    #expect(LenientConfiguration(try network(keys), as: .flannel).usesLease)
  }

  @Test func defaultsOfFlannel() throws {
    let configuration = try configuration(["bridge": "outer", "ipMasq": true], as: .flannel)
    #expect(
      configuration.bridged.gateways.isEnabled && !configuration.routes.hasDefault
        && !configuration.bridged.port.hairpin)
    #expect(configuration.bridged.bridge.name == "cni0" && configuration.rules.masquerades == nil)
    #expect(configuration.addressing?.rangeSets == [])
    #expect(configuration.leaseSource.subnetFiles == ["/run/flannel/subnet.env", "/run/causeway/subnet.env"])
  }

  @Test func bridgeKeysOfFlannelAreInItsDelegate() throws {
    let configuration = try configuration(
      [
        "subnetFile": "/s.env", "runtimeConfig": ["mac": "0a:00:00:00:00:01"],
        "delegate": ["type": "bridge", "bridge": "br7", "isDefaultGateway": true, "hairpinMode": true, "mtu": 1400],
      ], as: .flannel)
    #expect(
      configuration.bridged.bridge.name == "br7" && configuration.routes.hasDefault
        && configuration.bridged.port.hairpin)
    #expect(configuration.interface.mtuBytes == 1400)
    #expect(configuration.interface.requestedMAC?.description == "0a:00:00:00:00:01")
    #expect(configuration.leaseSource.subnetFiles == ["/s.env"])
  }

  @Test(
    arguments: [
      (["name": "x"], CNIError.Code.invalidConfiguration, "'delegate' dictionary must not have 'name' field"),
      (["IPAM": [:]], .invalidConfiguration, "'delegate' dictionary must not have 'ipam' field"),
      (["type": "macvlan"], .unsupportedField, #"delegate.type = "macvlan" is not supported"#),
      ("x", .invalidConfiguration, "delegate must be an object"),
    ] as [(JSONValue, CNIError.Code, String)])
  func delegateMustNotSetReservedKeys(delegate: JSONValue, code: CNIError.Code, message: String) throws {
    let error = try #require(
      answer { _ = try configuration(["delegate": delegate], as: .flannel) })
    #expect(error.code == code && error.message.contains(message), "\(error)")
  }

  /// DEL and GC find what ADD made under each plugin type.
  @Test func lenientReadingOfAValidConfiguration() throws {
    let keys: JSONObject = ["delegate": ["bridge": "br7"], "bridge": "br8", "ipam": ["dataDir": "/data"]]
    let flannels = LenientConfiguration(try network(keys), as: .flannel)
    #expect(flannels.gatewayLink.name == "br7" && flannels.dataDirectory == "/data" && flannels.usesLease)
    let bridges = LenientConfiguration(try network(keys), as: .bridge)
    #expect(bridges.gatewayLink.name == "br8" && bridges.dataDirectory == "/data" && !bridges.usesLease)
    #expect(bridges.delegate == nil)
    // A bridge with our IPAM uses the lease; with another IPAM plugin no type uses it.
    #expect(LenientConfiguration(try network(["ipam": ["type": "causeway"]]), as: .bridge).usesLease)
    #expect(LenientConfiguration(try network(["ipam": [:]]), as: .causeway).usesLease)
    for type in ["none", "dhcp"] {
      #expect(!LenientConfiguration(try network(["ipam": ["type": .string(type)]]), as: .causeway).usesLease)
    }
    let ranges = LenientConfiguration(
      try network(["ipam": ["subnet": "10.9.0.0/24", "type": "dhcp"], "bridge": ""]), as: .causeway)
    #expect(!ranges.usesLease && ranges.delegate?.type == "dhcp" && ranges.gatewayLink.name == "cni0")
  }

  @Test func lenientReadingOfAnInvalidConfiguration() throws {
    let keys: JSONObject = ["delegate": 5, "bridge": 5, "ipam": 5, "hostgw": ["state-dir": "/state", "store": "etcd"]]
    for type in [PluginType.causeway, .flannel] {
      let lenient = LenientConfiguration(try network(keys), as: type)
      #expect(lenient.gatewayLink.name == "cni0" && lenient.dataDirectory == "/var/lib/cni/networks")
      #expect(lenient.state.path == "/state" && lenient.delegate == nil)
    }
  }
}
