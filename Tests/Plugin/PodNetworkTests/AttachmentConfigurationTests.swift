import Addresses
import CNI
import JSON
@testable import PodNetwork
import Testing

@Suite struct AttachmentConfigurationTests {
  @Test func defaults() throws {
    let configuration = try configuration()
    #expect(configuration.bridged.bridge.name == "cni0")
    #expect(
      configuration.bridged.gateways.isEnabled && configuration.routes.hasDefault && configuration.bridged.port.hairpin)
    #expect(
      !configuration.bridged.gateways.forcesAddress && !configuration.bridged.bridge.isPromiscuous
        && !configuration.bridged.port.isIsolated)
    #expect(!configuration.interface.isLeftDown)
    #expect(configuration.interface.mtuBytes == nil && configuration.interface.requestedMAC == nil)
    #expect(configuration.rules.masquerades == nil && !configuration.interface.detectsDuplicates)
    #expect(configuration.dns.isEmpty && configuration.hasAddresses && configuration.delegate == nil)
    #expect(configuration.addressing?.rangeSets == [])
    #expect(configuration.leaseSource.helper == nil)
  }

  @Test func everyKeyIsRead() throws {
    let configuration = try configuration([
      "bridge": "br7", "isGateway": true, "isDefaultGateway": false, "forceAddress": true, "hairpinMode": false,
      "promiscMode": true, "portIsolation": true, "ipMasq": true, "ipMasqBackend": "iptables", "enabledad": true,
      "mtu": 9000, "dns": ["domain": "d"],
    ])
    #expect(configuration.bridged.bridge.name == "br7")
    #expect(configuration.bridged.gateways.isEnabled && !configuration.routes.hasDefault)
    #expect(
      configuration.bridged.gateways.forcesAddress && configuration.bridged.bridge.isPromiscuous
        && configuration.bridged.port.isIsolated)
    #expect(
      !configuration.bridged.port.hairpin && configuration.rules.masquerades == true
        && configuration.interface.detectsDuplicates)
    #expect(configuration.interface.mtuBytes == 9000)
    #expect(configuration.dns.domain == "d")
  }

  /// Go's zero values mean the default in the reference plugins, as an absent key does.
  @Test func zeroValuesAreDefaults() throws {
    let configuration = try configuration([
      "bridge": "", "mode": "", "mtu": 0, "vlan": 0, "vlanTrunk": .null, "ipMasq": false, "macspoofchk": false,
      "enabledad": false, "isGateway": .null, "dns": .null, "ipam": .null, "runtimeConfig": .null, "args": .null,
      "hostgw": .null, "subnetFile": "",
    ])
    #expect(
      configuration.bridged.bridge.name == "cni0" && configuration.bridged.gateways.isEnabled
        && configuration.interface.mtuBytes == nil)
    #expect(configuration.bridged.port.vlans == nil)
    #expect(configuration.leaseSource.subnetFiles == LeaseSource.defaultSubnetFiles(for: .causeway))
  }

  @Test(
    arguments: [
      (JSONObject(), true, true), (["isGateway": false], false, false), (["isGateway": true], true, true),
      (["isDefaultGateway": false], true, false), (["isDefaultGateway": true], true, true),
      (["isGateway": false, "isDefaultGateway": false], false, false),
      // As in the reference plugin, a default gateway is always a gateway.
      (["isGateway": false, "isDefaultGateway": true], true, true),
    ] as [(JSONObject, Bool, Bool)])
  func gatewayAndDefaultGateway(keys: JSONObject, isGateway: Bool, isDefault: Bool) throws {
    let configuration = try configuration(keys)
    #expect(configuration.bridged.gateways.isEnabled == isGateway)
    #expect(configuration.routes.hasDefault == isDefault)
  }

  @Test(
    arguments: [
      (JSONObject(), true, false), (["promiscMode": true], false, true), (["promiscMode": false], true, false),
      (["hairpinMode": false], false, false), (["hairpinMode": false, "promiscMode": true], false, true),
    ] as [(JSONObject, Bool, Bool)])
  func hairpinAndPromiscuous(keys: JSONObject, hairpin: Bool, promiscuous: Bool) throws {
    let configuration = try configuration(keys)
    #expect(configuration.bridged.port.hairpin == hairpin)
    #expect(configuration.bridged.bridge.isPromiscuous == promiscuous)
  }

  @Test(arguments: [68, 1279, 1500, 65535]) func mtuWithinTheKernelsLimitsIsAccepted(_ mtu: Int) throws {
    #expect(try configuration(["mtu": .integer(Int64(mtu))]).interface.mtuBytes == mtu)
  }

  /// The capability overrides `args`, and `args` overrides CNI_ARGS. An empty text means no address.
  @Test(
    arguments: [
      (JSONObject(), "", nil), ([:], "MAC=", nil), ([:], "MAC=0a:00:00:00:00:01", "0a:00:00:00:00:01"),
      (["args": ["cni": ["mac": "0a-00-00-00-00-02"]]], "MAC=0a:00:00:00:00:01", "0a:00:00:00:00:02"),
      (
        ["runtimeConfig": ["mac": "0A:00:00:00:00:03"], "args": ["cni": ["mac": "0a:00:00:00:00:02"]]],
        "MAC=0a:00:00:00:00:01", "0a:00:00:00:00:03"
      ),
      (["runtimeConfig": ["mac": ""], "args": ["cni": ["mac": .null]]], "MAC=0a:00:00:00:00:01", "0a:00:00:00:00:01"),
      // bridge's own tests write RuntimeConfig.
      (["RuntimeConfig": ["MAC": "0a:00:00:00:00:03"]], "", "0a:00:00:00:00:03"),
    ] as [(JSONObject, String, String?)])
  func requestedMACHasAnOrderOfSources(keys: JSONObject, arguments: String, mac: String?) throws {
    #expect(try configuration(keys, arguments: arguments).interface.requestedMAC?.description == mac)
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let keys: JSONObject
    let code: CNIError.Code
    let message: String
    var testDescription: String { message }

    init(_ keys: JSONObject, _ code: CNIError.Code, _ message: String) {
      self.keys = keys
      self.code = code
      self.message = message
    }
  }

  static let refused = [
    Case(["mode": "mesh"], .unsupportedField, #"mode = "mesh" is not supported"#),
    Case(["mode": "routed", "vlan": 7], .unsupportedField, "vlan or vlanTrunk is not supported with mode"),
    Case(["ipMasq": "true"], .invalidConfiguration, #"ipMasq must be true or false, but is "true""#),
    Case(["vlan": "7"], .invalidConfiguration, #"vlan must be a whole number, but is "7""#),
    Case(["vlanTrunk": [7]], .invalidConfiguration, "vlanTrunk[0] must be an object, but is 7"),
    Case(["preserveDefaultVlan": 1], .invalidConfiguration, "preserveDefaultVlan must be true or false, but is 1"),
    Case(["isGateway": 1], .invalidConfiguration, "isGateway must be true or false, but is 1"),
    Case(["ipMasqBackend": "pf"], .invalidConfiguration, #"unknown ipmasq backend "pf""#),
    Case(["ipam": ["type": "../dhcp"]], .invalidConfiguration, #"invalid plugin name: ipam.type "../dhcp""#),
    Case(["mtu": 67], .invalidConfiguration, "mtu must be 0 or from 68 to 65535 bytes, but is 67"),
    Case(["mtu": 65536], .invalidConfiguration, "mtu must be 0 or from 68 to 65535 bytes, but is 65536"),
    Case(["mtu": -1], .invalidConfiguration, "mtu must be 0 or from 68 to 65535 bytes, but is -1"),
    Case(["mtu": .real(1500.5)], .invalidConfiguration, "mtu must be a whole number, but is 1500.5"),
    Case(["mtu": "1500"], .invalidConfiguration, #"mtu must be a whole number, but is "1500""#),
    Case(
      ["hairpinMode": true, "promiscMode": true], .invalidConfiguration,
      "cannot set hairpin mode and promiscuous mode at the same time"),
    Case(["bridge": "a/b"], .invalidConfiguration, #"bridge "a/b": interface name contains /"#),
    Case(["bridge": "br%d"], .invalidConfiguration, #"bridge "br%d": interface name contains %"#),
    Case(
      ["bridge": "sixteen_bytes_xx"], .invalidConfiguration, #"bridge "sixteen_bytes_xx": interface name is too long"#),
    Case(["bridge": 5], .invalidConfiguration, "bridge must be a string, but is 5"),
    Case(
      ["runtimeConfig": ["mac": "01:00:5e:00:00:01"]], .invalidConfiguration,
      #"runtimeConfig.mac must be a unicast MAC address such as 0a:58:0a:f4:01:07, but is "01:00:5e:00:00:01""#),
    Case(
      ["runtimeConfig": ["mac": "00:00:00:00:00:00"]], .invalidConfiguration,
      "runtimeConfig.mac must be a unicast MAC address"),
    Case(["args": ["cni": ["mac": "x"]]], .invalidConfiguration, "args.cni.mac must be a unicast MAC address"),
    Case(["args": ["cni": 5]], .invalidConfiguration, "args.cni must be an object, but is 5"),
    Case(["dns": ["nameservers": "x"]], .invalidConfiguration, #"dns.nameservers must be an array, but is "x""#),
    Case(["ipam": "host-local"], .invalidConfiguration, #"ipam must be an object, but is "host-local""#),
    Case(
      ["disableContainerInterface": true, "ipam": ["type": "host-local"]], .invalidConfiguration,
      "cannot use IPAM when DisableContainerInterface flag is set"),
    Case(["hostgw": ["store": "etcd"]], .invalidConfiguration, #"hostgw.store must be "file", but is "etcd""#),
    Case(["hostgw": true], .invalidConfiguration, "hostgw must be an object, but is true"),
    Case(["subnetFile": 5], .invalidConfiguration, "subnetFile must be a string, but is 5"),
  ]

  @Test(arguments: refused) func errorNamesTheUnsupportedOrInvalidKey(_ bad: Case) throws {
    let error = try #require(answer { _ = try configuration(bad.keys) })
    #expect(error.code == bad.code && error.message.contains(bad.message), "\(error)")
  }

  @Test func errorNamesAnInvalidMACInCNIArgs() throws {
    let error = try #require(answer { _ = try configuration(arguments: "MAC=x") })
    #expect(error.code == .invalidConfiguration && error.message.hasPrefix("MAC in CNI_ARGS must be"), "\(error)")
  }

  @Test(
    arguments: [
      ["ipam": ["type": "none"]], ["disableContainerInterface": true],
      ["disableContainerInterface": true, "ipam": ["type": "none"]], ["disableContainerInterface": true, "ipam": [:]],
    ] as [JSONObject])
  func layerTwoConfigurationHasNoAddresses(_ keys: JSONObject) throws {
    let configuration = try configuration(keys)
    #expect(configuration.addressing == nil && configuration.delegate == nil && !configuration.hasAddresses)
    #expect(configuration.interface.isLeftDown == (keys["disableContainerInterface"] != nil))
  }

  @Test func otherIPAMPluginIsADelegate() throws {
    let dhcp = try configuration(["ipam": ["type": "dhcp", "ranges": "dhcp's own"]])
    #expect(dhcp.delegate?.type == "dhcp")
    #expect(dhcp.addressing == nil && dhcp.hasAddresses)
    let error = answer {
      _ = try configuration(["ipam": ["type": "dhcp"], "disableContainerInterface": true])
    }
    #expect(error?.message == "cannot use IPAM when DisableContainerInterface flag is set")
  }
}
