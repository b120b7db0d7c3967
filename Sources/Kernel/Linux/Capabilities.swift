internal import CLinux
internal import Glibc

/// What a process may do that is kept from others (capabilities(7)).
package struct Capabilities: OptionSet, Sendable {
  package let rawValue: UInt64

  package init(rawValue: UInt64) { self.rawValue = rawValue }

  private init(_ number: Int32) { rawValue = 1 << UInt64(number) }

  /// Files, whoever's they are.
  package static let overrideFileModes = Capabilities(CAP_DAC_OVERRIDE)
  /// Ports below 1024.
  package static let bindLowPorts = Capabilities(CAP_NET_BIND_SERVICE)
  /// Links, addresses, routes, rules.
  package static let administerNetwork = Capabilities(CAP_NET_ADMIN)
  /// BPF programs and maps, and what such programs may read in the kernel.
  package static let loadPrograms: Capabilities = [Capabilities(CAP_BPF), Capabilities(CAP_PERFMON)]
  /// Raw sockets, by which the older tables of xtables are reached.
  package static let openRawSockets = Capabilities(CAP_NET_RAW)
}

extension CurrentProcess {
  /// Gives up, for this process and all that it starts, every capability but these; of these none that it lacks comes
  /// back, either. To be called before a second thread starts: each thread has its own.
  package static func keepOnly(_ kept: Capabilities) throws(SystemError) {
    // First, as it takes one of those that go. Who may not do this can't gain by an exec, either: see below.
    for number in 0..<UInt(64) where kept.rawValue & 1 << number == 0 {
      if clinux_prctl(PR_CAPBSET_READ, number) == 1 { _ = clinux_prctl(PR_CAPBSET_DROP, number) }
    }
    var halves = [__user_cap_data_struct](repeating: .init(), count: 2)
    _ = try retryingOnInterrupt("read the capabilities of", "this process") { unsafe clinux_get_capabilities(&halves) }
    let masks = [UInt32(truncatingIfNeeded: kept.rawValue), UInt32(truncatingIfNeeded: kept.rawValue >> 32)]
    // Where there is nothing to give up the call is not made: a service manager may have forbidden it.
    if zip(halves, masks).contains(where: { ($0.permitted | $0.inheritable) & ~$1 != 0 }) {
      for (index, mask) in masks.enumerated() {
        halves[index].permitted &= mask
        halves[index].effective &= mask
        halves[index].inheritable &= mask
      }
      do throws(SystemError) {
        _ = try retryingOnInterrupt("give up capabilities of", "this process") {
          unsafe clinux_set_capabilities(&halves)
        }
      } catch {
        // A service manager that forbids the call has chosen the capabilities itself.
        guard error.errno == EPERM else { throw error }
      }
    }
    // Root gets by exec all that the bounding set leaves, but with this no more than it has.
    _ = try retryingOnInterrupt("refuse new privileges to", "this process") { clinux_prctl(PR_SET_NO_NEW_PRIVS, 1) }
  }
}
