internal import ArgumentParser
internal import KubernetesStore
internal import Linux

/// The options of `--store kubernetes`.
struct KubernetesOptions: OptionNames {
  @Option(
    help: ArgumentHelp(
      "Address and credentials of the Kubernetes API, in kubectl's format. (default: the service account of the pod)",
      valueName: "file"))
  var kubeconfigFile: String?

  @Option(
    help: ArgumentHelp("The API's URL, instead of the kubeconfig's or the service account's.", valueName: "URL"))
  var kubeApiUrl: String?

  @Option(
    help: ArgumentHelp(
      "Prefix of the nodes' annotations. (default: flannel.alpha.coreos.com)", valueName: "prefix"),
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
  /// The names of options that may be given without a value, which then is true.
  static let switches: Set = ["set-node-network-unavailable"]

  /// Access to the API.
  var access: KubeAccessSource { KubeAccessSource(kubeconfig: kubeconfigFile?.given, server: kubeApiUrl?.given) }

  /// A transform of the option would not do: the parser would show the value as a whole, with a password that it may
  /// contain.
  mutating func validate() throws {
    guard let text = kubeApiUrl?.given, !KubeAccessSource.isServer(text) else { return }
    throw ValidationError(
      text.contains("@")
        ? "--kube-api-url must hold neither user nor password: a kubeconfig (--kubeconfig-file) holds the credentials."
        : "--kube-api-url: '\(text)' is no URL like https://192.0.2.1:6443.")
  }

  /// Returns the prefix with the character that separates it from an annotation's name, as flannel does.
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
