import Addresses
import CNI
import IPAM
import JSON
import Linux
@testable import PodNetwork
import Testing
import TestSupport

@Suite struct AddressConfigurationTests {
  @Test(
    arguments: [[:], ["type": "host-local"], ["type": "causeway"], ["type": ""], ["ranges": []], ["ranges": .null]]
      as [JSONObject])
  func noRangesAreReadWhereTheLeaseIsUsed(_ ipam: JSONObject) throws {
    let addressing = try addressing(ipam)
    #expect(addressing.rangeSets == [])
    #expect(addressing.requested == [] && addressing.routes == [] && addressing.dns.isEmpty)
    #expect(addressing.dataDirectory == "/var/lib/cni/networks")
  }

  @Test func subnetKeysOfTheSectionAreOneRange() throws {
    let addressing = try addressing([
      "subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.20", "gateway": "10.1.2.30",
    ])
    let range = try #require(addressing.rangeSets.first?.ranges.first)
    #expect(texts(addressing.rangeSets) == ["10.1.2.9-10.1.2.20"])
    #expect(range.subnet.description == "10.1.2.0/24")
    #expect(range.gateway.description == "10.1.2.30")
  }

  @Test func rangesAreAListOfSets() throws {
    let addressing = try addressing([
      "ranges": [
        [["subnet": "10.1.2.0/24", "rangeEnd": "10.1.2.9"], ["subnet": "10.1.4.0/24"]], [["subnet": "fd00:1::/64"]],
      ]
    ])
    #expect(
      texts(addressing.rangeSets) == [
        "10.1.2.1-10.1.2.9,10.1.4.1-10.1.4.254", "fd00:1::1-fd00:1::ffff:ffff:ffff:ffff",
      ])
  }

  /// Ranges of the capability come first, then the range of the section's own keys, then those of `ranges`.
  @Test func rangesOfAllSourcesAreOrdered() throws {
    let addressing = try addressing(
      ["subnet": "10.2.0.0/24", "ranges": [[["subnet": "10.3.0.0/24"]]]],
      ["runtimeConfig": ["ipRanges": [[["subnet": "10.1.0.0/24"]], [["subnet": "10.4.0.0/24"]]]]])
    #expect(
      addressing.rangeSets.map { $0.ranges[0].subnet.description } == [
        "10.1.0.0/24", "10.4.0.0/24", "10.2.0.0/24", "10.3.0.0/24",
      ])
  }

  /// Addresses of CNI_ARGS come first, then those of `args`, then those of the capability. A prefix length is optional.
  @Test func requestedAddressesOfAllSourcesAreJoined() throws {
    let keys: JSONObject = [
      "args": ["cni": ["ips": ["10.1.0.3/24", "fd00::3"]]], "runtimeConfig": ["ips": ["10.1.0.4", "fd00::4/64"]],
    ]
    let addressing = try addressing(["ranges": []], arguments: "IP=10.1.0.2/16", keys)
    #expect(texts(addressing.requested) == ["10.1.0.2", "10.1.0.3", "fd00::3", "10.1.0.4", "fd00::4"])
    #expect(try texts(requested("IP=10.1.0.2")) == ["10.1.0.2"])
    #expect(try requested("IP=") == [])
  }

  private func requested(_ arguments: String) throws -> [IPAddress] {
    try addressing([:], arguments: arguments).requested
  }

  @Test func routesAreReadWithAllAttributes() throws {
    let addressing = try addressing([
      "routes": [
        ["dst": "0.0.0.0/0"], ["dst": "10.9.8.7/16", "gw": "10.1.0.9"],
        ["dst": "fd00::/48", "mtu": 1400, "advmss": 1300, "priority": 5, "table": 100, "scope": 253],
      ]
    ])
    #expect(texts(addressing.routes.map(\.destination)) == ["0.0.0.0/0", "10.9.0.0/16", "fd00::/48"])
    #expect(addressing.routes.map(\.gateway) == [nil, IPAddress("10.1.0.9"), nil])
    let last = try #require(addressing.routes.last)
    #expect(last.mtuBytes == 1400 && last.advertisedMSSBytes == 1300 && last.priority == 5)
    #expect(last.table == 100 && last.scope == 253)
  }

  @Test func dataDirectoryHasADefault() throws {
    #expect(try addressing(["dataDir": "/data"]).dataDirectory == "/data")
    #expect(try addressing(["dataDir": ""]).dataDirectory == "/var/lib/cni/networks")
    // DEL and GC use the default for an unreadable value; ADD reports an error.
    #expect(AddressConfiguration.dataDirectory(JSONFields(["dataDir": 5])) == "/var/lib/cni/networks")
    #expect(AddressConfiguration.dataDirectory(nil) == "/var/lib/cni/networks")
  }

  @Test func resolvConfIsRead() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("resolv.conf")
    try Files.write(path, Array("nameserver 10.96.0.10\nsearch a b\n".utf8))
    let dns = try addressing(["resolvConf": .string(path)]).dns
    #expect(dns.nameservers == ["10.96.0.10"] && dns.search == ["a", "b"])
    let error = answer { _ = try addressing(["resolvConf": .string(path + "x")]) }
    #expect(error?.code == .invalidConfiguration)
    #expect(error?.message == "ipam.resolvConf \"\(path)x\" does not exist")
  }

  /// A result of a version before 0.3.0 holds one address of each family.
  @Test(arguments: ["0.1.0", "0.2.0", "0.3.0", "1.1.0"]) func oldVersionsAllowOneSetPerFamily(_ version: String) throws
  {
    let dual: JSONValue = [[["subnet": "10.1.0.0/24"]], [["subnet": "fd00:1::/64"]]]
    #expect(try addressing(["ranges": dual], version: version).rangeSets.count == 2)
    let error = answer {
      _ = try addressing(["subnet": "10.1.0.0/24", "ranges": [[["subnet": "10.2.0.0/24"]]]], version: version)
    }
    if version < "0.3.0" {
      #expect(error?.code == .invalidConfiguration)
      #expect(error?.message == "CNI version \(version) does not support more than 1 address per family")
    } else {
      #expect(error == nil)
    }
  }

  @Test(
    arguments: [
      (["subnet": "10.1.2.3/24"], "invalid range set 0: Network has host bits set"),
      (["subnet": "10.1.2.0/31"], "invalid range set 0: Network 10.1.2.0/31 too small"),
      (["subnet": ""], "ipam.subnet is missing"), (["subnet": 5], "ipam.subnet must be a string, but is 5"),
      (["subnet": "10.1.2.0"], "ipam.subnet must be an address with a prefix length"),
      (["ranges": [[["rangeStart": "10.1.0.1"]]]], "ipam.ranges[0][0].subnet is missing"),
      (["ranges": [[]]], "invalid range set 0: empty range set"),
      (["ranges": [["subnet": "10.1.0.0/24"]]], "ipam.ranges[0] must be an array of objects, but is an object"),
      (["ranges": ["x"]], "ipam.ranges[0] must be an array of objects, but is \"x\""),
      (["ranges": ["subnet": "10.1.0.0/24"]], "ipam.ranges must be an array, but is an object"),
      (["ranges": [[["subnet": "10.1.0.0/24"]], [["subnet": "10.1.0.128/25"]]]], "range set 1 overlaps with 0"),
      (["subnet": "10.1.0.0/24", "ranges": [[["subnet": "10.1.0.0/24"]]]], "range set 1 overlaps with 0"),
      (
        ["ranges": [[["subnet": "10.1.0.0/24"], ["subnet": "10.1.0.0/25"]]]],
        "invalid range set 0: subnets 10.1.0.1-10.1.0.254 and 10.1.0.1-10.1.0.126 overlap"
      ),
      (
        ["ranges": [[["subnet": "10.1.0.0/24"], ["subnet": "fd00::/64"]]]],
        "invalid range set 0: mixed address families"
      ),
      (
        ["subnet": "10.1.0.0/24", "gateway": "fd00::1"], "invalid range set 0: Gateway fd00::1 must be an IPv4 address"
      ),
      (["subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"], "invalid range set 0: RangeStart 10.2.0.1 not in network"),
      (["subnet": "10.1.0.0/24", "rangeEnd": "x"], "ipam.rangeEnd must be an IP address, but is \"x\""),
      (["routes": [["gw": "10.1.0.1"]]], "ipam.routes[0].dst is missing"),
      (["routes": [["dst": "default"]]], "ipam.routes[0].dst must be an address with a prefix length"),
      (["type": 5], "ipam.type must be a string, but is 5"),
      (["dataDir": 5], "ipam.dataDir must be a string, but is 5"),
      (["resolvConf": 5], "ipam.resolvConf must be a string, but is 5"),
    ] as [(JSONObject, String)])
  func errorNamesTheInvalidKey(ipam: JSONObject, message: String) throws {
    let error = try #require(answer { _ = try addressing(ipam) })
    #expect(error.code == .invalidConfiguration && error.message.contains(message), "\(error)")
  }

  @Test(
    arguments: [
      (
        ["runtimeConfig": ["ips": ["10.1.0.300"]]], "", #"runtimeConfig.ips must be an IP address, but is "10.1.0.300""#
      ),
      (["runtimeConfig": ["ips": [""]]], "", #"runtimeConfig.ips must be an IP address, but is """#),
      (["runtimeConfig": ["ips": "10.1.0.3"]], "", #"runtimeConfig.ips must be an array, but is "10.1.0.3""#),
      (["runtimeConfig": ["ipRanges": [[["subnet": 5]]]]], "", "runtimeConfig.ipRanges[0][0].subnet must be a string"),
      (["args": ["cni": ["ips": ["10.1.0.3/33"]]]], "", #"args.cni.ips must be an IP address, but is "10.1.0.3/33""#),
      ([:], "IP=a", #"IP in CNI_ARGS must be an IP address, but is "a""#),
    ] as [(JSONObject, String, String)])
  func errorOfARequestNamesItsSource(keys: JSONObject, arguments: String, message: String) throws {
    let error = try #require(answer { _ = try configuration(keys, arguments: arguments) })
    #expect(error.code == .invalidConfiguration && error.message.contains(message), "\(error)")
  }
}
