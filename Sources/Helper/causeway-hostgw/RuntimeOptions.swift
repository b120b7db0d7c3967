internal import ArgumentParser
internal import Linux
internal import NodeLease
internal import PodCollection

/// The options of what the agent does for the container runtime: its network configuration, and lost pods.
struct RuntimeOptions: OptionNames {
  @Option(
    help: ArgumentHelp("The runtime's network configuration, to be copied to --cni-conf-file.", valueName: "file"))
  var cniConfSource: String?

  @Option(
    help: ArgumentHelp(
      "Where the runtime reads it. It is written last, when pods can be served.", valueName: "file"))
  var cniConfFile: String?

  @Option(
    help: ArgumentHelp(
      "How often leftovers of pods that are gone are deleted, for the network of --cni-conf-file; 0s for never. "
        + "(default: 10m)",
      valueName: "time"),
    transform: TimeText.duration)
  var gcInterval = Duration.seconds(600)

  @Option(help: ArgumentHelp("Where the plugin is, which deletes them.", valueName: "directory"))
  var cniBinDir = "/opt/cni/bin"

  static let names = ["cni-conf-source", "cni-conf-file", "gc-interval", "cni-bin-dir"]

  /// The part that places the network configuration; `nil` if none is asked for.
  func conflist() throws -> ConflistPart? {
    switch (cniConfSource?.given, cniConfFile?.given) {
    case (let source?, let file?): return ConflistPart(source: source, destination: file)
    case (nil, nil): return nil
    case (_?, nil): throw ValidationError("--cni-conf-source needs --cni-conf-file, the place to put it.")
    case (nil, _?): throw ValidationError("--cni-conf-file needs --cni-conf-source, the file to put there.")
    }
  }

  /// The part that deletes what is left of pods; `nil` if that is off.
  func podCollection(stateDirectory: String) -> PodCollectionPart? {
    guard let file = cniConfFile?.given, gcInterval > .zero else { return nil }
    return PodCollectionPart(
      configuration: file, binDirectory: cniBinDir, stateDirectory: stateDirectory, interval: gcInterval)
  }
}
