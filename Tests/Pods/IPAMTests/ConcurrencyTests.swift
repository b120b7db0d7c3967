import Addresses
import Foundation
import IPAM
import Linux
import Synchronization
import Testing
import TestSupport

@Suite(.timeLimit(.minutes(1))) struct ConcurrencyTests {
  private let fixture: LeaseFixture

  init() throws { fixture = try LeaseFixture() }

  /// Runs the body on `count` threads and throws the first error.
  private func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
    let failure = Mutex<(any Error)?>(nil)
    DispatchQueue.concurrentPerform(iterations: count) { number in
      do { try body(number) } catch { failure.withLock { $0 = $0 ?? error } }
    }
    if let error = failure.withLock({ $0 }) { throw error }
  }

  @Test(arguments: [false, true])
  func concurrentOperationsLeaseNoAddressTwice(shares: Bool) throws {
    let sets = [try rangeSet("10.0.0.0/24"), try rangeSet("fd00::/64")]
    let fixture = fixture
    let given = Mutex<[String]>([])
    try onThreads(8) { thread in
      let network = fixture.network(shares && thread.isMultiple(of: 2) ? "other" : "net", shares: shares)
      for number in 0..<20 {
        let owner = owner("id-\(thread)-\(number)")
        let addresses = texts(try network.allocate(owner, from: sets, requested: []))
        given.withLock { $0 += addresses }
        // Every second lease is released at once.
        guard number.isMultiple(of: 2) else { continue }
        // Removed from the list first: after the release another thread may add the address.
        given.withLock { $0.removeAll { addresses.contains($0) } }
        #expect(Set(texts(try network.release(owner))) == Set(addresses))
      }
    }
    let held = given.withLock { $0 }
    #expect(held.count == 160)
    #expect(Set(held).count == held.count)
    var leases = Set(try fixture.leases().keys)
    if shares {
      let others = Set(try fixture.leases(network: "other").keys)
      #expect(leases.isDisjoint(with: others))
      leases.formUnion(others)
    }
    #expect(leases == Set(held))
  }

  /// Another program does what host-local does: lock, read, create the file, write it, unlock.
  @Test func hostLocalAtTheSameTimeLosesNoLease() throws {
    let script = #"""
      for i in $(seq 1 30); do
        (
          flock 9
          for n in $(seq 2 200); do
            if (set -C; : >"$0/10.0.0.$n") 2>/dev/null; then
              printf 'ref-%s\r\neth0' "$n" >"$0/10.0.0.$n"; printf '10.0.0.%s' "$n" >"$0/last_reserved_ip.0"; break
            fi
          done
          if [ $((i % 3)) = 0 ]; then grep -lx ref-"$n"$'\r' "$0"/10.* | xargs -r rm; fi
        ) 9>>"$0/lock"
      done
      """#
    let sets = [try rangeSet("10.0.0.0/24")]
    _ = try fixture.network().allocate(owner("first"), from: sets, requested: [])
    let reference = try RunningProgram(["bash", "-c", script, fixture.path])
    let fixture = fixture
    try onThreads(2) { thread in
      for number in 0..<30 {
        let owner = owner("id-\(thread)-\(number)")
        let network = fixture.network()
        let addresses = try network.allocate(owner, from: sets, requested: [])
        #expect(try network.find(owner) == addresses.map(\.address.address))
        if number.isMultiple(of: 3) { #expect(try network.release(owner).count == 1) }
      }
    }
    #expect(try reference.exitStatus(within: .seconds(30)) == 0, "\(reference.output)")
    let owners = try fixture.leases().values
    #expect(owners.count == Set(owners).count)
    #expect(owners.count(where: { $0.hasPrefix("ref-") }) == 20)
    #expect(owners.count(where: { $0.hasPrefix("id-") }) == 40)
    // No change was missed because the index seemed current.
    for number in 0..<30 where !number.isMultiple(of: 3) {
      #expect(try fixture.network().release(owner("id-1-\(number)")).count == 1)
    }
  }
}
