import JSON
import TestSupport

/// The links of a namespace and their addresses at one moment, as `ip` shows them.
struct NamespaceView {
  let links: [JSONObject]

  subscript(name: String) -> JSONObject? { links.first { $0["ifname"]?.string == name } }

  /// The addresses of a link with their prefix lengths, filtered by scope ("global", "link") and by family ("inet",
  /// "inet6") if one is given.
  func addresses(_ link: String, family: String? = nil, scope: String = "global") -> [String] {
    infos(link).filter { info in
      info["scope"]?.string == scope && (family == nil || info["family"]?.string == family)
    }.compactMap { info in
      guard let local = info["local"]?.string, case .integer(let length) = info["prefixlen"] else { return nil }
      return "\(local)/\(length)"
    }
  }

  /// The global addresses that are tentative or whose duplicate address detection failed.
  func unusable(_ link: String) -> [JSONObject] {
    infos(link).filter { $0["scope"]?.string == "global" && ($0["tentative"] != nil || $0["dadfailed"] != nil) }
  }

  private func infos(_ link: String) -> [JSONObject] {
    self[link]?["addr_info"]?.array?.compactMap(\.object).filter { !$0.members.isEmpty } ?? []
  }

  /// The settings of a bridge.
  func bridge(_ name: String) -> JSONObject? { self[name]?["linkinfo"]?.object?["info_data"]?.object }

  /// The settings of a link as a bridge port.
  func port(_ name: String) -> JSONObject? { self[name]?["linkinfo"]?.object?["info_slave_data"]?.object }
}

extension TestNode {
  func view(inPod pod: String? = nil) throws -> NamespaceView {
    NamespaceView(links: try ip(json: "address", "show", inPod: pod))
  }

  /// The default routes of both families.
  func defaultRoutes(inPod pod: String) throws -> [JSONObject] {
    try ip(json: "-4", "route", "show", "default", inPod: pod) + ip(json: "-6", "route", "show", "default", inPod: pod)
  }
}
