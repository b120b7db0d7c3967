import JSON
import Linux
import Testing
import TestSupport
import YAML

/// Checks of `conf/kubernetes` without a cluster. `hack/e2e-kubernetes/run` checks it with one.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct ManifestTests {
  private let objects: [JSONObject]

  init() throws {
    objects = try ManifestTests.objects(of: "causeway.yaml")
  }

  private static func text(_ path: String) throws -> String {
    let bytes = try Files.read("\(Binaries.packageRoot)/\(path)", limit: 1 << 20)
    return String(decoding: try #require(bytes), as: UTF8.self)
  }

  private static func objects(of file: String) throws -> [JSONObject] {
    let documents = try text("conf/kubernetes/\(file)").split(separator: "\n---\n")
    return try documents.map { try #require(try JSONValue(parsingYAML: Array($0.utf8)).object) }
  }

  private func object(_ kind: String) throws -> JSONObject {
    try #require(objects.first { $0["kind"]?.string == kind })
  }

  /// The value at a path of keys and indices.
  private func value(_ object: JSONObject, _ path: String) throws -> JSONValue {
    try path.split(separator: "/").reduce(JSONValue.object(object)) { value, step in
      if let index = Int(step) { return try #require(value.array?[index]) }
      return try #require(value.object?[String(step)], "\(path)")
    }
  }

  private func texts(_ value: JSONValue) throws -> [String] {
    try #require(value.array).map { try #require($0.string) }
  }

  @Test func theAgentKnowsTheManifestsOptions() throws {
    let agent = try value(object("DaemonSet"), "spec/template/spec/containers/0")
    let arguments = try texts(value(try #require(agent.object), "args"))
    let help = try run([Binaries.hostgw, "run", "--help"]).succeeded().output
    for argument in arguments.dropFirst() {
      let name = argument.split(separator: "=")[0]
      #expect(help.contains("\(name) ") || help.contains("\(name)\n"), "\(argument)")
    }
    // The agent accepts their values too: it then only lacks a pod's service account.
    let node = try TestNode()
    let running = try node.start([Binaries.hostgw] + arguments)
    #expect(
      eventually(within: .seconds(60)) { running.output.contains("no pod with a service account") }, "\(running.output)"
    )
  }

  @Test func itMayDoThisAndNoMore() throws {
    let rules = try #require(try object("ClusterRole")["rules"]?.array)
    let allowed = try rules.flatMap { rule in
      let rule = try #require(rule.object)
      #expect(rule["apiGroups"] == [""])
      let resources = try texts(value(rule, "resources"))
      return try texts(value(rule, "verbs")).flatMap { verb in resources.map { "\(verb) \($0)" } }
    }
    #expect(allowed.count == KubeServer.role.count && Set(allowed) == KubeServer.role)
    let agent = try #require(try value(object("DaemonSet"), "spec/template/spec/containers/0").object)
    #expect(try texts(value(agent, "securityContext/capabilities/drop")) == ["ALL"])
    #expect(try texts(value(agent, "securityContext/capabilities/add")) == ["NET_ADMIN", "DAC_OVERRIDE"])
    #expect(try value(agent, "securityContext/privileged") == false)
    let uninstall = try #require(try Self.objects(of: "uninstall.yaml").first { $0["kind"] == "DaemonSet" })
    let clean = try #require(try value(uninstall, "spec/template/spec/initContainers/0").object)
    #expect(
      try value(clean, "securityContext/capabilities") == value(agent, "securityContext/capabilities"))
    // Both containers can access the fast path that another agent has left.
    for container in [agent, clean] {
      let mounts = try #require(try value(container, "volumeMounts").array).compactMap(\.object)
      #expect(mounts.contains { $0["mountPath"] == "/sys/fs/bpf" && $0["name"] == "bpf" && $0["readOnly"] == nil })
    }
  }

  /// Checks that the patch fits the manifest, and that the agent's capabilities suffice with a read-only /proc/sys.
  @Test func theFastPathsPatchFitsTheManifest() throws {
    let patch = try #require(try Self.objects(of: "fast-path.yaml").first)
    let daemonSet = try object("DaemonSet")
    let containers = ["initContainers", "containers"].map { "spec/template/spec/\($0)/0" }
    for path in ["apiVersion", "kind", "metadata/name", "metadata/namespace"] + containers.map({ "\($0)/name" }) {
      #expect(try value(patch, path) == value(daemonSet, path))
    }
    let modes = try containers.map { path in
      #expect(try value(patch, "\(path)/env/0/name") == "CAUSEWAY_FAST_PATH")
      return try value(patch, "\(path)/env/0/value").string
    }
    #expect(modes == ["auto", "auto"])
    let path = "\(containers[1])/securityContext/capabilities/add"
    let capabilities = try texts(value(patch, path))
    #expect(try capabilities == texts(value(daemonSet, path)) + ["BPF", "PERFMON"])

    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("mount -t bpf bpf /sys/fs/bpf")
    func agent() throws -> RunningProgram {
      try node.start(
        [
          "unshare", "--mount", "/bin/sh", "-ec",
          #"mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; exec "$@""#, "sh",
          "setpriv", "--bounding-set", "-all,\(capabilities.map { "+\($0.lowercased())" }.joined(separator: ","))",
          "--inh-caps", "-all", "--no-new-privs", Binaries.hostgw, "run",
        ], environment: ["CAUSEWAY_FAST_PATH": "auto"])
    }
    let refused = try agent()
    #expect(
      eventually(within: .seconds(30)) { refused.output.contains("set net.netfilter.nf_conntrack_tcp_be_liberal = 1") },
      "\(refused.output)")
    refused.stop()
    // `prepare-node` makes these settings.
    try node.sh(
      "for name in be_liberal ignore_invalid_rst; do echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_$name; done")
    let served = try agent()
    #expect(
      eventually(within: .seconds(30)) { served.output.contains("fast path: flows are known by") }, "\(served.output)")
  }

  /// Checks that the patch fits the manifest and sets an option of the agent.
  @Test func thePatchForNodesBesideFlannelFitsTheManifest() throws {
    let patch = try #require(try Self.objects(of: "beside-flannel.yaml").first)
    let daemonSet = try object("DaemonSet")
    let container = "spec/template/spec/containers/0"
    for path in ["apiVersion", "kind", "metadata/name", "metadata/namespace", "\(container)/name"] {
      #expect(try value(patch, path) == value(daemonSet, path))
    }
    let terms =
      "spec/template/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms"
    #expect(
      try value(patch, terms) == [["matchExpressions": [["key": "flannel", "operator": "DoesNotExist"]]]])
    #expect(
      try value(patch, "\(container)/env") == [["name": "CAUSEWAY_TAKE_OVER_FLANNEL", "value": "true"]])
    #expect(try run([Binaries.hostgw, "run", "--help"]).succeeded().output.contains("--take-over-flannel "))
  }

  @Test func theConfigurationsAreValid() throws {
    let list = try #require(try value(object("ConfigMap"), "data/cni-conf.json").string)
    let conflist = try #require(try JSONValue(parsing: Array(list.utf8)).object)
    // All runtimes and all releases of portmap know this version.
    #expect(conflist["cniVersion"] == "0.3.1" && conflist["cniVersions"] == nil)
    // The plugin accepts it as a runtime passes it, and reports the missing lease with code 50.
    var plugin = try #require(try value(conflist, "plugins/0").object)
    plugin["name"] = conflist["name"]
    plugin["cniVersion"] = "1.1.0"
    let answer = try TestNode().run(
      [Binaries.causeway], environment: ["CNI_COMMAND": "STATUS", "CNI_PATH": "/opt/cni/bin"],
      input: JSONValue.object(plugin).text())
    let error = try #require(try JSONValue(parsing: Array(answer.output.utf8)).object)
    #expect(error["code"] == .integer(50), "\(answer)")
    let network = try #require(try value(object("ConfigMap"), "data/net-conf.json").string)
    _ = try JSONValue(parsing: Array(network.utf8))
  }

  /// Checks that manifests, scripts and documents name the image that hack/image builds.
  @Test func allFilesNameTheBuiltImage() throws {
    let named = try ["causeway.yaml", "uninstall.yaml"].flatMap { file in
      try Self.text("conf/kubernetes/\(file)").split(separator: "\n").filter { $0.contains("image: ") }
        .map { $0.split(separator: " ").last }
    }
    let version = try run([Binaries.hostgw, "--version"]).succeeded().output.split(separator: "\n")[0]
    #expect(named.count == 4 && Set(named) == ["localhost/causeway:\(version)"])
    for file in ["hack/image", "hack/e2e-kubernetes/workloads"] {
      #expect(try Self.text(file).contains("localhost/causeway:\(version)"), "\(file)")
    }
    for file in ["README.md", "conf/docs/install.md"] {
      #expect(try Self.text(file).contains("hack/image registry.example/causeway:\(version)\n"), "\(file)")
    }
    #expect(try Self.text("conf/docs/install.md").contains("newTag: \(version)}"))
  }
}
