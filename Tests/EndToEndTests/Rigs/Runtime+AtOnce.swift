import JSON
import Testing
import TestSupport

/// One of several calls at the same time.
struct Call {
  let verb: String
  /// The pod, and the container's ID.
  let pod: String
  let configuration: JSONObject
}

extension Runtime {
  /// Runs the plugin once for each call, all at the same time, and returns the answers in the order of the calls.
  func callAtOnce(_ calls: [Call]) throws -> [Answer] {
    // All processes wait at a gate, which opens when the last one has started. Separators divide their outputs.
    let script = #"""
      plugin=$0 search=$1; shift
      scratch=$(mktemp -d /run/at-once.XXXXXX); mkfifo $scratch/gate; exec 9<>$scratch/gate
      index=0
      for call in "$@"; do
        read -r input
        pod=${call#* }
        (
          read -r -u 9
          export CNI_COMMAND=${call%% *} CNI_CONTAINERID=$pod CNI_NETNS=/run/netns/$pod CNI_IFNAME=eth0 CNI_PATH=$search
          exec "$plugin" <<<"$input" >$scratch/out$index 2>$scratch/err$index 9>&-
        ) &
        started[index++]=$!
      done
      for process in "${started[@]}"; do echo >&9; done
      for index in "${!started[@]}"; do
        status=0; wait ${started[index]} || status=$?
        printf '%s\x1e' $status "$(cat $scratch/out$index)" "$(cat $scratch/err$index)"
      done
      rm -r $scratch
      """#
    let input = try calls.map { try JSONValue.object($0.configuration).text() + "\n" }.joined()
    let output = try node.run(
      ["/bin/bash", "-c", script, plugin, searchPath] + calls.map { "\($0.verb) \($0.pod)" }, input: input,
      limit: .seconds(60)
    ).succeeded().output
    let parts = output.split(separator: "\u{1e}", omittingEmptySubsequences: false).map { String($0) }
    try #require(parts.count == 3 * calls.count + 1, "\(output)")
    return calls.indices.map { index in
      let process = CommandResult(
        command: [calls[index].verb, calls[index].pod], status: Int32(parts[3 * index]) ?? -1,
        output: parts[3 * index + 1], errors: parts[3 * index + 2])
      return Answer(process: process, json: try? JSONValue(parsing: Array(process.output.utf8)).object)
    }
  }

  /// Adds pods named by the letter and a number.
  func addPods(_ count: Int, _ letter: String = "p") throws -> [String] {
    let pods = (1...count).map { "\(letter)\($0)" }
    try node.sh("for pod in \(pods.joined(separator: " ")); do ip netns add $pod; done")
    return pods
  }
}
