internal import ArgumentParser
internal import KubernetesStore

/// The options of `--store kubernetes`.
struct KubernetesOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the Kubernetes API is and who asks there, as kubectl has it. (default: the service account of the pod)",
      valueName: "file"))
  var kubeconfigFile: String?

  @Option(
    help: ArgumentHelp("The API's URL, in place of the one that is told elsewhere.", valueName: "URL"))
  var kubeApiUrl: String?

  @Option(
    help: ArgumentHelp(
      "What the nodes' annotations begin with. (default: flannel.alpha.coreos.com)", valueName: "prefix"),
    transform: KubernetesOptions.prefix)
  var kubeAnnotationPrefix = "flannel.alpha.coreos.com/"

  @Option(help: ArgumentHelp("The cluster's network, net-conf.json.", valueName: "file"))
  var netConfigPath = "/etc/kube-flannel/net-conf.json"

  @Option(
    help: ArgumentHelp(
      "Keep the node's condition NetworkUnavailable: false as soon as pods can be served.", valueName: "bool"))
  var setNodeNetworkUnavailable = true

  /// The long names.
  static let names = [
    "kubeconfig-file", "kube-api-url", "kube-annotation-prefix", "net-config-path", "set-node-network-unavailable",
  ]
  /// Those that may stand without a value, which then is true.
  static let switches: Set = ["set-node-network-unavailable"]

  /// Where the access is told. An empty value, such as a variable of a script that is not set, counts as none.
  var access: KubeAccessSource {
    func given(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
    return KubeAccessSource(kubeconfig: given(kubeconfigFile), server: given(kubeApiUrl))
  }

  /// Not where the option is read: the parser would show the value as a whole, though a password may stand in it.
  mutating func validate() throws {
    guard let text = kubeApiUrl, !text.isEmpty, !KubeAccessSource.isServer(text) else { return }
    throw ValidationError(
      text.contains("@")
        ? "--kube-api-url must hold neither user nor password: a kubeconfig (--kubeconfig-file) tells who this is."
        : "--kube-api-url: '\(text)' is no URL like https://192.0.2.1:6443.")
  }

  /// With what separates it from an annotation's name, as flannel has it.
  private static func prefix(_ text: String) throws -> String {
    let slashes = text.count { $0 == "/" }
    let isGood = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "/"):
        true
      default: false
      }
    }
    guard isGood, !text.isEmpty, slashes <= 1, text.first != "/" else {
      throw ValidationError("'\(text)' is no prefix like flannel.alpha.coreos.com.")
    }
    if slashes == 0 { return text + "/" }
    return text.last == "/" || text.last == "-" ? text : text + "-"
  }
}
