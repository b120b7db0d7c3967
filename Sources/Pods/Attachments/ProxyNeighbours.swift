package import Addresses
internal import Glibc
internal import Linux
package import Netlink

extension RouteSocket {
  /// Removes the proxy neighbour entries of addresses whose pod is gone, on every link. A failure is written to standard
  /// error and stops nothing else.
  package mutating func stopAnswering(for addresses: [IPAddress]) {
    // A busy kernel may refuse once and succeed the next time; no other verb would remove the entries.
    for isLast in [false, true] {
      do throws(NetlinkError) {
        let answers = try answers().filter { addresses.contains($0.address) }
        let failures = try perform(answers.map { .stopAnswering(for: $0) }).compactMap { $0 }
        guard let failure = failures.first(where: { $0.errno != ENOENT }) else { return }
        throw failure
      } catch {
        if isLast { StandardError.write("the node still answers for a pod that is gone: \(error)") }
      }
    }
  }
}
