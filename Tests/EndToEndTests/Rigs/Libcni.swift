import JSON
import Linux
import TestSupport

/// libcni, the library with which runtimes call plugins, behind a small Go program (`libcni/main.go`).
struct Libcni {
  let node: TestNode

  /// The program's output: a result, or an error. The code of libcni's own errors is 0.
  struct Answer: CustomStringConvertible {
    let process: CommandResult
    let json: JSONValue?

    var description: String { process.description }
    var result: JSONObject? { process.status == 0 ? json?.object : nil }
    var code: Int64? { if case .integer(let code)? = json?.object?["code"] { code } else { nil } }
    var message: String { (json?.object?["msg"]?.string ?? "") + "; " + (json?.object?["details"]?.string ?? "") }
    var addresses: [String] {
      result?["ips"]?.array?.compactMap { $0.object?["address"]?.string } ?? []
    }
  }

  /// Installs the reference plugins, and wrappers that log each plugin call and its configuration to /run/calls.
  init(_ node: TestNode) throws {
    self.node = node
    try node.sh("cp -a /usr/lib/cni/. /opt/cni/bin/")
    try record("causeway", as: Binaries.causeway)
    try record("tuning", as: "/usr/lib/cni/tuning")
    try record("portmap", as: "/usr/lib/cni/portmap")
  }

  private func record(_ name: String, as program: String) throws {
    try node.install(
      plugin: name,
      """
      test $CNI_COMMAND = VERSION || printf '%s %s %s\\n' $CNI_COMMAND \(name) "$configuration" >>/run/calls
      printf %s "$configuration" | \(program)
      """)
  }

  /// A plugin call from the log.
  struct Call {
    /// Verb and plugin, such as `ADD causeway`.
    let name: String
    let configuration: JSONObject
  }

  /// The calls since the last time, in order.
  func calls() throws -> [Call] {
    try node.lines("cat /run/calls && rm /run/calls").map { line in
      let parts = line.split(separator: " ", maxSplits: 2)
      return Call(
        name: parts.prefix(2).joined(separator: " "),
        configuration: try JSONValue(parsing: Array(parts[2].utf8)).object ?? [:])
    }
  }

  /// Writes a plugin list.
  func configure(_ plugins: [JSONValue], version: String = "1.0.0", name: String = "podnet") throws {
    let list: JSONValue = ["cniVersion": .string(version), "name": .string(name), "plugins": .array(plugins)]
    try Files.write(node.path("/run/\(name).conflist"), Array(list.text().utf8))
  }

  /// Runs the verb with the network's list.
  func callAsFunction(
    _ verb: String, _ pod: String, _ options: String..., network: String = "podnet"
  ) throws -> Answer {
    let process = try node.run(
      [
        try Libcni.program.get(), verb, "-conf", "/run/\(network).conflist", "-id", pod, "-netns",
        "/run/netns/\(pod)",
      ] + options)
    return Answer(process: process, json: try? JSONValue(parsing: Array(process.output.utf8)))
  }

  /// The file in which libcni caches the result of ADD.
  func cacheFile(_ pod: String, interface: String = "eth0", network: String = "podnet") -> String {
    "/var/lib/cni/results/\(network)-\(pod)-\(interface)"
  }

  /// The path of the program, which is built once from Debian's packages, without Go modules.
  private static let program = Result {
    let program = "\(Binaries.packageRoot)/.build/libcni-runtime"
    try run(
      ["go", "build", "-o", program, "\(Binaries.packageRoot)/Tests/EndToEndTests/Rigs/libcni/main.go"],
      environment: [
        "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "CGO_ENABLED": "0",
        "GOCACHE": "\(Binaries.packageRoot)/.build/go",
      ], limit: .seconds(150)
    ).succeeded()
    return program
  }
}
