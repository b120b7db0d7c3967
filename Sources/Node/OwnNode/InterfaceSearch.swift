internal import Addresses
internal import Netlink

/// Steps that find the link and the address of a family.
struct InterfaceSearch {
  let selection: InterfaceSelection
  let state: NetworkState
  let clusterNetworks: [IPPrefix]
  let present: [IPAddress]

  /// Place of an address: a link, and the address itself if a selector names it.
  private struct Place {
    let link: Link
    var address: IPAddress?
  }

  /// Reason why a place has no address.
  private struct Reason: Error {
    let text: String
    init(_ text: String) { self.text = text }
  }

  /// Whether the family's link depends on the default routes.
  func needsDefaultRoutes(_ family: IPFamily) -> Bool {
    !selection.namesLinks && selection.publicAddress(family) == nil && kept(family) == nil
  }

  /// Whether the family has no default route to follow.
  func lacksDefaultRoute(_ family: IPFamily) -> Bool {
    needsDefaultRoutes(family) && defaultPlaces(family).isEmpty
  }

  /// Finds the interface of a family.
  ///
  /// - Parameter other: the link of the other family, for a family that has no default route.
  func interface(_ family: IPFamily, beside other: Link? = nil) -> Result<
    InterfaceChoice.Interface, InterfaceProblem
  > {
    do throws(Reason) {
      return .success(try find(family, beside: other))
    } catch {
      return .failure(InterfaceProblem(family: family, reason: error.text))
    }
  }

  /// Links that the selectors ask for, whatever determines the address.
  func selectedLinks() -> [Link] {
    IPFamily.allCases.flatMap { selectedPlaces($0) }.compactMap { try? $0.get().link }
  }

  private func find(_ family: IPFamily, beside other: Link?) throws(Reason) -> InterfaceChoice.Interface {
    if let given = selection.publicAddress(family) { return try self.given(given) }
    if !selection.namesLinks, let kept = kept(family) { return kept }
    let places: [Result<Place, Reason>]
    if selection.namesLinks {
      places = selectedPlaces(family)
    } else {
      let usual = defaultPlaces(family)
      places = (usual.isEmpty ? [other].compactMap { $0 }.map { Place(link: $0) } : usual).map { .success($0) }
      guard !places.isEmpty else {
        throw Reason("there is no \(family) default route that tells the link: name it with --iface")
      }
    }
    var reasons: [String] = []
    for place in places {
      do throws(Reason) {
        return try interface(at: place.get(), family)
      } catch {
        reasons.append(error.text)
      }
    }
    throw Reason(reasons.joined(separator: "; "))
  }
}

// MARK: Links

extension InterfaceSearch {
  /// Links of the family's default routes: the lowest metric first, then the lowest index.
  private func defaultPlaces(_ family: IPFamily) -> [Place] {
    let routes = state.defaultRoutes.filter { $0.family == family }
    let order = routes.flatMap { route in route.linkIndexes.map { (route.priority, $0) } }.sorted(by: <)
    return order.compactMap { state.link($0.1) }.filter { !$0.isLoopback }.map { Place(link: $0) }
  }

  /// Places that the selectors name, in their order.
  private func selectedPlaces(_ family: IPFamily) -> [Result<Place, Reason>] {
    selection.names.map { named($0, family) } + selection.patterns.flatMap { matching($0, family) }
      // An address of another family names the link as well, but with less weight.
      + selection.reachable.sorted { ($0.family == family ? 0 : 1) < ($1.family == family ? 0 : 1) }.map(reaching)
  }

  private func named(_ name: String, _ family: IPFamily) -> Result<Place, Reason> {
    if let address = IPAddress(name), let link = state.link(holding: address) {
      return .success(Place(link: link, address: address.family == family ? address : nil))
    }
    if let link = state.links.first(where: { $0.name == name }) { return .success(Place(link: link)) }
    return .failure(
      Reason("no link has the name or address \(name) (there are \(state.linkList)): correct --iface"))
  }

  private func matching(_ text: String, _ family: IPFamily) -> [Result<Place, Reason>] {
    guard let pattern = try? InterfacePattern(text) else {
      return [.failure(Reason("\(text) is no regular expression: correct --iface-regex"))]
    }
    let links = state.links.filter { !$0.isLoopback }.sorted { $0.index < $1.index }
    let places = links.compactMap { link -> Place? in
      if pattern.matches(link.name) { return Place(link: link) }
      let own = state.addresses.filter { $0.linkIndex == link.index && $0.obstacle(clusterNetworks: []) == nil }
      let fitting = own.map(\.prefix.address).filter { pattern.matches("\($0)") }.sorted()
      guard !fitting.isEmpty else { return nil }
      return Place(link: link, address: fitting.first { $0.family == family })
    }
    guard !places.isEmpty else {
      return [
        .failure(
          Reason(
            "no link's name or address matches \(text) (there are \(state.linkList)): correct --iface-regex"))
      ]
    }
    return places.map { .success($0) }
  }

  private func reaching(_ address: IPAddress) -> Result<Place, Reason> {
    if let link = state.link(holding: address) { return .success(Place(link: link)) }
    if let link = state.linksToReach[address].flatMap(state.link) { return .success(Place(link: link)) }
    return .failure(
      Reason("this node has no route to \(address): add one, or correct --iface-can-reach"))
  }
}

// MARK: Addresses

extension InterfaceSearch {
  /// Returns the family's present address, or a better one of the same link.
  private func kept(_ family: IPFamily) -> InterfaceChoice.Interface? {
    for address in present where address.family == family {
      guard let held = state.addresses.first(where: { $0.prefix.address == address }),
        let link = state.link(held.linkIndex)
      else { continue }
      return kept(on: link, family)
    }
    return nil
  }

  private func kept(on link: Link, _ family: IPFamily) -> InterfaceChoice.Interface? {
    let held = state.addresses.first {
      $0.linkIndex == link.index && $0.prefix.family == family && present.contains($0.prefix.address)
    }
    guard let held, held.obstacle(clusterNetworks: clusterNetworks) == nil else { return nil }
    let best = best(of: link, family)
    let isLeft = best.map { AddressQuality($0) > AddressQuality(held) } ?? false
    return InterfaceChoice.Interface(
      link: link, address: (isLeft ? best : nil)?.prefix.address ?? held.prefix.address)
  }

  private func interface(at place: Place, _ family: IPFamily) throws(Reason) -> InterfaceChoice.Interface {
    if let address = place.address {
      try check(address, on: place.link)
      return InterfaceChoice.Interface(link: place.link, address: address)
    }
    if let kept = kept(on: place.link, family) { return kept }
    if let best = best(of: place.link, family) {
      return InterfaceChoice.Interface(link: place.link, address: best.prefix.address)
    }
    let others = state.addresses.filter { $0.linkIndex == place.link.index && $0.prefix.family == family }
    let words = others.prefix(3).map { other in
      let why = other.obstacle(clusterNetworks: clusterNetworks) ?? other.weakness ?? "is not"
      return "\(other.prefix.address) \(why)"
    }
    let but = words.isEmpty ? "" : " that serves (\(words.joined(separator: ", ")))"
    throw Reason("\(place.link.name) has no \(family) address\(but): add one, or name another link with --iface")
  }

  /// Returns a given address, unless it is unusable.
  private func given(_ address: IPAddress) throws(Reason) -> InterfaceChoice.Interface {
    let option = address.family == .v4 ? "--public-ip" : "--public-ipv6"
    guard let link = state.link(holding: address) else {
      let own = state.addressList(address.family)
      throw Reason("no link has \(address) (this node has \(own)): correct \(option), or add the address")
    }
    guard !selection.namesLinks || selectedLinks().contains(where: { $0.index == link.index }) else {
      throw Reason("\(address) is on \(link.name), which is not the link of \(selection.options): correct one of them")
    }
    try check(address, on: link)
    return InterfaceChoice.Interface(link: link, address: address)
  }

  private func check(_ address: IPAddress, on link: Link) throws(Reason) {
    let held = state.addresses.first { $0.prefix.address == address && $0.linkIndex == link.index }
    if let obstacle = held?.obstacle(clusterNetworks: clusterNetworks) {
      throw Reason("\(address) on \(link.name) \(obstacle)")
    }
  }

  /// Best of a link's addresses; of equal ones a primary one, then the lowest.
  private func best(of link: Link, _ family: IPFamily) -> LinkAddress? {
    let candidates = state.addresses.filter { address in
      address.linkIndex == link.index && address.prefix.family == family && address.weakness == nil
        && address.obstacle(clusterNetworks: clusterNetworks) == nil
    }
    return candidates.max { left, right in
      let (first, second) = (AddressQuality(left), AddressQuality(right))
      if first != second { return first < second }
      if left.isSecondary != right.isSecondary { return left.isSecondary }
      return left.prefix.address > right.prefix.address
    }
  }
}

extension NetworkState {
  /// Names of the links, for messages.
  var linkList: String { NetworkState.list(links.map(\.name)) }

  /// Addresses of a family with their links, for messages.
  func addressList(_ family: IPFamily) -> String {
    NetworkState.list(of: addresses.filter { $0.prefix.family == family }, in: self)
  }

  /// Lists addresses with their links.
  static func list(of addresses: [LinkAddress], in state: NetworkState) -> String {
    let texts = addresses.filter { !$0.prefix.address.isLinkLocal }.map { address in
      "\(address.prefix.address)" + (state.link(address.linkIndex).map { " on \($0.name)" } ?? "")
    }
    return texts.isEmpty ? "none" : list(texts)
  }

  /// Lists the first few of many.
  static func list(_ items: [String]) -> String {
    items.prefix(6).joined(separator: ", ") + (items.count > 6 ? ", …" : "")
  }
}
