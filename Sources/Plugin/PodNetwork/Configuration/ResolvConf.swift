internal import CNI
internal import Linux

extension DNS {
  /// Reads a file of resolv.conf(5): name servers, search domains and options add up, the last `domain` counts.
  init(resolvConf path: String) throws(PodNetworkError) {
    self.init()
    guard let content = try fromSystem(Files.read(path, limit: 65536)) else {
      throw PodNetworkError(.invalidConfiguration, "ipam.resolvConf \"\(path)\" does not exist")
    }
    for line in String(decoding: content, as: UTF8.self).split(whereSeparator: { $0.isNewline }) {
      let words = line.split(whereSeparator: { $0.isWhitespace }).map { String($0) }
      guard words.count >= 2, !line.hasPrefix("#"), !line.hasPrefix(";") else { continue }
      switch words[0] {
      case "nameserver": nameservers.append(words[1])
      case "domain": domain = words[1]
      case "search": search += words.dropFirst()
      case "options": options += words.dropFirst()
      default: break
      }
    }
  }
}
