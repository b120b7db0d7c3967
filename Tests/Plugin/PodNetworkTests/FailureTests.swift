import Addresses
import CNI
import Glibc
import IPAM
import JSON
import Linux
import Netlink
@testable import NodeState
@testable import PodNetwork
@testable import PodRules
import Testing

/// The CNI error code for each module's errors.
@Suite struct FailureTests {
  @Test func cniErrorIsUnchanged() {
    let error = CNIError(.unavailable, "a", details: "b")
    #expect(CNIError(PodNetworkError.cni(error)) == error)
  }

  @Test(arguments: [
    (IPAMError.invalidRanges("x"), CNIError.Code.invalidConfiguration),
    (.requestedOutside([]), .invalidConfiguration),
    (.locked(path: "/lock", waited: .seconds(10)), .tryAgainLater),
    (.system(SystemError("open", "/x", errno: EIO)), .ioFailure),
  ])
  func codesOfIPAMErrors(error: IPAMError, code: CNIError.Code) {
    #expect(CNIError(PodNetworkError.ipam(error)) == CNIError(code, error.description))
    #expect(CNIError(PodNetworkError.podRules(.ipam(error))) == CNIError(code, error.description))
  }

  @Test func codesOfRangeSetErrors() throws {
    let address = try #require(IPAddress("10.1.0.5"))
    let set = try RangeSet([AddressRange(subnet: try #require(IPPrefix("10.1.0.0/24")))])
    let owner = LeaseOwner(containerID: "c1", interfaceName: "eth0")
    #expect(CNIError(.ipam(.exhausted(rangeSet: 0, ranges: set))).code == .tryAgainLater)
    #expect(CNIError(.ipam(.requestedGateway(rangeSet: 0, address))).code == .invalidConfiguration)
    #expect(CNIError(.ipam(.requestedHeld(rangeSet: 0, address, ranges: set))).code == .failed)
    #expect(CNIError(.ipam(.duplicate(rangeSet: 0, held: address, by: owner))).code == .failed)
  }

  @Test func codesOfOtherModulesErrors() {
    let missing = JSONError.missing(field: "ipam.subnet")
    #expect(
      CNIError(.json(missing)) == CNIError(.invalidConfiguration, "network configuration: ipam.subnet is missing"))
    #expect(CNIError(.lease(.missing(file: "f", key: "FLANNEL_MTU"))).code == .tryAgainLater)
    #expect(CNIError(.system(SystemError("lock", "/x", errno: EWOULDBLOCK))).code == .tryAgainLater)
    #expect(CNIError(.system(SystemError("open", "/x", errno: EACCES))).code == .ioFailure)
    let refused = LegacyTablesRefused(command: "iptables", status: 4, output: "")
    #expect(CNIError(.podRules(.legacyTables(refused))).code == .failed)
  }
}
