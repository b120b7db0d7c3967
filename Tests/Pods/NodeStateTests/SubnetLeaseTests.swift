import Addresses
import NodeState
import Testing

@Suite struct SubnetLeaseTests {
  private let dual = """
    FLANNEL_NETWORK=10.244.0.0/16
    FLANNEL_SUBNET=10.244.1.1/24
    FLANNEL_IPV6_NETWORK=fd00:10::/48
    FLANNEL_IPV6_SUBNET=fd00:10:0:1::1/64
    FLANNEL_MTU=1450
    FLANNEL_IPMASQ=true

    """

  @Test func aWrittenLeaseIsReadAsItWas() throws {
    let lease = try SubnetLease(parsing: dual, file: "subnet.env")
    #expect(lease.subnets.map(\.description) == ["10.244.1.1/24", "fd00:10:0:1::1/64"])
    #expect(lease.mtuBytes == 1450)
    #expect(lease.masquerades)
    #expect(lease.text == dual)
  }

  @Test func aSingleFamilyHasOnlyItsLines() throws {
    let network = try #require(IPPrefix("fd00:10::/48"))
    let subnet = try #require(IPPrefix("fd00:10:0:1::1/64"))
    let lease = SubnetLease(networks: [network], subnets: [subnet], mtuBytes: 1500, masquerades: false)
    #expect(
      lease.text
        == "FLANNEL_IPV6_NETWORK=fd00:10::/48\nFLANNEL_IPV6_SUBNET=fd00:10:0:1::1/64\nFLANNEL_MTU=1500\nFLANNEL_IPMASQ=false\n"
    )
  }

  @Test(arguments: [
    ("FLANNEL_MTU=1450", "FLANNEL_MTU=x"), ("FLANNEL_IPMASQ=true", "FLANNEL_IPMASQ=maybe"),
    ("FLANNEL_SUBNET=10.244.1.1/24", "FLANNEL_SUBNET=fd00::1/64"),
    ("FLANNEL_MTU=1450", "FLANNEL_MTU=99999999999999999999"),
  ])
  func anErrorNamesTheKey(good: String, bad: String) throws {
    let text = dual.split(separator: "\n").map { $0 == good ? bad : String($0) }.joined(separator: "\n")
    let error = try #require(throws: LeaseError.self) { try SubnetLease(parsing: text, file: "subnet.env") }
    #expect("\(error)".contains(bad), "\(error)")
  }
}
