import ArgumentParser
import Testing

@testable import causeway_hostgw

@Suite struct OptionSourcesTests {
  /// The options that a command line, an environment and a configuration file come to.
  private func options(
    _ arguments: [String], _ environment: [String: String] = [:], file: String? = nil
  ) throws -> Options {
    let all = try OptionSources.arguments(
      ["sync"] + arguments + (file == nil ? [] : ["--config", "/conf.json"]),
      environment: { environment[$0] }, readFile: { _ in Array((file ?? "").utf8) })
    return try #require(try HostGateway.parseAsRoot(all) as? any CommandWithOptions).options
  }

  /// The words that a person is told.
  private func message(
    _ arguments: [String], _ environment: [String: String] = [:], file: String? = nil
  ) throws -> String {
    let error = try #require(throws: (any Error).self) { try options(arguments, environment, file: file) }
    return HostGateway.message(for: error)
  }

  @Test func everyOptionIsKnownFromEverySource() throws {
    let values = [
      "store": "file", "nodes-file": "/n", "node-name": "a", "iface": "eth0", "public-ip": "192.0.2.1",
      "public-ipv6": "fd00::1", "subnet-file": "/s", "state-dir": "/d", "lease-copy": "/l", "ip-masq": "true",
      "ip-masq-ports": "random", "forward-rules": "false", "forward-insert": "true", "blackhole-route": "false",
      "take-over-flannel": "true", "log-level": "debug", "log-format": "json",
    ]
    #expect(Set(values.keys) == Set(Options.names))
    let unchanged = "\(try options([]))"
    for (name, value) in values {
      let variable = "CAUSEWAY_" + name.uppercased().replacing("-", with: "_")
      let byFlag = try options(["--\(name)=\(value)"])
      let byVariable = try options([], [variable: value])
      var byFile = try options([], file: #"{"\#(name)": "\#(value)"}"#)
      byFile.config = nil
      #expect("\(byVariable)" == "\(byFlag)")
      #expect("\(byFile)" == "\(byFlag)")
      #expect("\(byFlag)" != unchanged || name == "store", "\(name) changes nothing")
    }
  }

  @Test func flagBeatsEnvironmentBeatsFile() throws {
    let file = #"{"nodes-file": "/file", "node-name": "file", "iface": "file"}"#
    let environment = ["CAUSEWAY_NODES_FILE": "/environment", "CAUSEWAY_NODE_NAME": "environment"]
    let options = try options(["--nodes-file", "/flag"], environment, file: file)
    #expect(options.nodesFile == "/flag")
    #expect(options.nodeName == "environment")
    #expect(options.iface == "file")
  }

  @Test func theFileMayBeNamedByTheEnvironment() throws {
    let all = try OptionSources.arguments(
      ["sync"], environment: { $0 == "CAUSEWAY_CONFIG" ? "/c" : nil },
      readFile: { path in
        #expect(path == "/c")
        return Array(#"{"node-name": "x"}"#.utf8)
      })
    #expect(all == ["sync", "--node-name=x"])
  }

  @Test(
    arguments: [
      (["--ip-masq"], [:], nil, true), (["--ip-masq=true"], [:], nil, true), (["--ip-masq=false"], [:], nil, false),
      ([], ["CAUSEWAY_IP_MASQ": "true"], nil, true), ([], [:], #"{"ip-masq": true}"#, true),
      ([], [:], #"{"ip-masq": "true"}"#, true), (["--ip-masq=false"], ["CAUSEWAY_IP_MASQ": "true"], nil, false),
      ([], ["CAUSEWAY_IP_MASQ": ""], nil, false),
    ] as [([String], [String: String], String?, Bool)])
  func switches(arguments: [String], environment: [String: String], file: String?, expected: Bool) throws {
    #expect(try options(arguments, environment, file: file).rules.ipMasq == expected)
  }

  @Test func whatIsWrongIsNamedWithItsSource() throws {
    #expect(try message(["--log-level", "loud"]).contains("'loud' is none of"))
    #expect(try message(["--store", "etcd"]).contains("there is no store 'etcd', only file"))
    #expect(try message(["--public-ip", "fd00::1"]).contains("'fd00::1' is no IPv4 address"))
    #expect(try message(["--state-dir", "here"]).contains("--state-dir must be an absolute path, not 'here'"))
    #expect(try message([], ["CAUSEWAY_STORE": "etcd"]).contains("environment variable CAUSEWAY_STORE"))
    #expect(try message([], file: #"{"ip-masq": "maybe"}"#).contains(#"/conf.json, key "ip-masq""#))
    #expect(try message([], file: #"{"nodesfile": "/x"}"#).contains(#"/conf.json: unknown key "nodesfile""#))
    #expect(try message([], file: #"{"config": "/x"}"#).contains(#"unknown key "config""#))
    #expect(try message([], file: #"{"nodes-file": ["/x"]}"#).contains("nodes-file must be a string"))
    #expect(try message([], file: "[]").contains("the configuration must be a JSON object"))
    #expect(try message([], file: "{").contains("/conf.json: "))
  }
}
