import TestSupport

/// Rules for Services as kube-proxy writes them: addresses that are translated to random pods, masqueraded hairpin
/// traffic, and a drop of packets that conntrack finds invalid.
struct ServiceRules {
  /// A Service's IPv4 or IPv6 address and those of its pods; port 80 each.
  typealias Service = (address: String, pods: [String])

  static func write(_ services: [Service], to node: TestNode) throws {
    for isIPv6 in [false, true] {
      let mine = services.filter { $0.address.contains(":") == isIPv6 }
      try node.run([isIPv6 ? "ip6tables-restore" : "iptables-restore"], input: text(mine)).succeeded()
    }
  }

  private static func text(_ services: [Service]) -> String {
    var chains = ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"]
    var rules = [
      "PREROUTING -j KUBE-SERVICES", "OUTPUT -j KUBE-SERVICES", "POSTROUTING -j KUBE-POSTROUTING",
      "KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
      "KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
      "KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
      "KUBE-POSTROUTING -j MASQUERADE --random-fully",
    ]
    for (number, service) in services.enumerated() {
      for transport in ["tcp", "udp"] {
        let chain = "KUBE-SVC-\(number)-\(transport)"
        chains.append(chain)
        rules.append("KUBE-SERVICES -d \(service.address) -p \(transport) --dport 80 -j \(chain)")
        for (place, pod) in service.pods.enumerated() {
          let end = "KUBE-SEP-\(number)-\(place)-\(transport)"
          chains.append(end)
          let share = 1 / Double(service.pods.count - place)
          let chance = share < 1 ? "-m statistic --mode random --probability \(share) " : ""
          rules.append("\(chain) \(chance)-j \(end)")
          rules.append("\(end) -s \(pod) -j KUBE-MARK-MASQ")
          let destination = pod.contains(":") ? "[\(pod)]:80" : "\(pod):80"
          rules.append("\(end) -p \(transport) -j DNAT --to-destination \(destination)")
        }
      }
    }
    let nat = chains.map { ":\($0) - [0:0]\n" } + rules.map { "-A \($0)\n" }
    return """
      *nat
      \(nat.joined())COMMIT
      *filter
      -A FORWARD -m conntrack --ctstate INVALID -j DROP
      -A FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
      -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
      COMMIT

      """
  }
}
