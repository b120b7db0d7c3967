internal import CLinux
internal import Glibc

/// A set of Linux capabilities (capabilities(7)).
package struct Capabilities: OptionSet, Sendable {
  /// One bit for each capability, at the position of its CAP_* number.
  package let rawValue: UInt64

  /// A set from its bits.
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  private init(_ number: Int32) { rawValue = 1 << UInt64(number) }

  /// Reads and writes any file, whatever its owner and mode (CAP_DAC_OVERRIDE).
  package static let overrideFileModes = Capabilities(CAP_DAC_OVERRIDE)
  /// Listens on ports below 1024 (CAP_NET_BIND_SERVICE).
  package static let bindLowPorts = Capabilities(CAP_NET_BIND_SERVICE)
  /// Changes links, addresses, routes and rules (CAP_NET_ADMIN).
  package static let administerNetwork = Capabilities(CAP_NET_ADMIN)
  /// Loads BPF programs and maps, and lets programs read kernel memory (CAP_BPF, CAP_PERFMON).
  package static let loadPrograms: Capabilities = [Capabilities(CAP_BPF), Capabilities(CAP_PERFMON)]
  /// Opens raw sockets, which the older xtables interface needs (CAP_NET_RAW).
  package static let openRawSockets = Capabilities(CAP_NET_RAW)
}

extension CurrentProcess {
  /// Drops every capability except `kept`, for this process and for all programs that it starts.
  ///
  /// A capability in `kept` that the process lacks is not gained later either. Capabilities belong to threads, so this
  /// must be called before a second thread starts.
  package static func keepOnly(_ kept: Capabilities) throws(SystemError) {
    // The bounding set comes first: dropping from it needs CAP_SETPCAP, which is dropped below. A process without
    // CAP_SETPCAP cannot gain capabilities by exec(2) either: see PR_SET_NO_NEW_PRIVS below.
    for number in 0..<UInt(64) where kept.rawValue & 1 << number == 0 {
      if clinux_prctl(PR_CAPBSET_READ, number) == 1 { _ = clinux_prctl(PR_CAPBSET_DROP, number) }
    }
    var halves = [__user_cap_data_struct](repeating: .init(), count: 2)
    _ = try retryingOnInterrupt("read the capabilities of", "this process") { unsafe clinux_get_capabilities(&halves) }
    let masks = [UInt32(truncatingIfNeeded: kept.rawValue), UInt32(truncatingIfNeeded: kept.rawValue >> 32)]
    // capset(2) is not called if nothing has to be dropped: a service manager may have forbidden it.
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
    // By exec(2) root gains all capabilities of the bounding set. With this setting it keeps only those that it has.
    _ = try retryingOnInterrupt("refuse new privileges to", "this process") { clinux_prctl(PR_SET_NO_NEW_PRIVS, 1) }
  }
}
