import Addresses
import CNI
import Glibc
import IPAM
import JSON
import Linux
import Netlink
@testable import NodeState
@testable import PodNetwork
import Testing

/// Which code a runtime gets to see for a room's error.
@Suite struct FailureTests {
  @Test func aCNIErrorStaysAsItIs() {
    let error = CNIError(.unavailable, "a", details: "b")
    #expect(CNIError(error as any Error) == error)
  }

  @Test(arguments: [
    (IPAMError.invalidRanges("x"), CNIError.Code.invalidConfiguration),
    (.requestedOutside([]), .invalidConfiguration),
    (.locked(path: "/lock", waited: .seconds(10)), .tryAgainLater),
    (.system(SystemError("open", "/x", errno: EIO)), .ioFailure),
  ])
  func addresses(error: IPAMError, code: CNIError.Code) {
    #expect(CNIError(error) == CNIError(code, error.description))
  }

  @Test func addressesOfARangeSet() throws {
    let address = try #require(IPAddress("10.1.0.5"))
    let set = try RangeSet([AddressRange(subnet: try #require(IPPrefix("10.1.0.0/24")))])
    let owner = LeaseOwner(containerID: "c1", interfaceName: "eth0")
    #expect(CNIError(IPAMError.exhausted(rangeSet: 0, ranges: set)).code == .tryAgainLater)
    #expect(CNIError(IPAMError.requestedGateway(rangeSet: 0, address)).code == .invalidConfiguration)
    #expect(CNIError(IPAMError.requestedHeld(rangeSet: 0, address, ranges: set)).code == .failed)
    #expect(CNIError(IPAMError.duplicate(rangeSet: 0, held: address, by: owner)).code == .failed)
  }

  @Test func theOtherRooms() {
    let missing = JSONError.missing(field: "ipam.subnet")
    #expect(CNIError(missing) == CNIError(.invalidConfiguration, "network configuration: ipam.subnet is missing"))
    #expect(CNIError(LeaseError.missing(file: "f", key: "FLANNEL_MTU")).code == .tryAgainLater)
    #expect(CNIError(SystemError("lock", "/x", errno: EWOULDBLOCK)).code == .tryAgainLater)
    #expect(CNIError(SystemError("open", "/x", errno: EACCES)).code == .ioFailure)
    #expect(CNIError(Unheard()).code == .failed)
  }

  private struct Unheard: Error {}
}
