internal import ArgumentParser
internal import NodeFastPath

/// The options of the fast path.
struct FastPathOptions: OptionNames {
  @Option(
    help: ArgumentHelp(
      "Carry established flows between pods past bridge and packet filter: off, auto (if the kernel can), on.",
      valueName: "mode"),
    transform: { try FastPathOptions.word($0) })
  var fastPath = FastPathMode.off

  @Option(
    help: ArgumentHelp(
      "How the fast path knows that no address of a flow is translated: conntrack, sight. (default: conntrack, if the "
        + "kernel can)",
      valueName: "way"),
    transform: { try FastPathOptions.word($0) })
  var fastPathFlows: FlowKnowledge?

  static let names = ["fast-path", "fast-path-flows"]

  func part(stateDirectory: String) -> FastPathPart {
    FastPathPart(mode: fastPath, knowledge: fastPathFlows, stateDirectory: stateDirectory)
  }
}
