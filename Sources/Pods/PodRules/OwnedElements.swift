internal import Netfilter
internal import Netlink

extension NetfilterSocket {
  /// Removes from the sets every element whose owner, its comment, is in the network (as `isInNetwork` tells) and not
  /// among `valid`.
  mutating func removeStrays(
    from sets: [SetName], keeping valid: Set<String>, isInNetwork: (String) -> Bool
  ) throws(NetlinkError) {
    try removeAll { netfilter throws(NetlinkError) in
      var removals: [NetlinkRequest] = []
      for set in sets {
        let strays = try netfilter.elements(of: set).filter { isInNetwork($0.comment) && !valid.contains($0.comment) }
        removals += strays.map { .removeElement($0.key, from: set) }
      }
      return removals
    }
  }
}
