internal import Agent
internal import ArgumentParser
internal import Linux
internal import Parts
internal import PodRules

struct CleanCommand: CommandWithOptions {
  static let configuration = CommandConfiguration(
    commandName: "clean",
    abstract: "Remove what the helper made on this node.",
    discussion: """
      Removes its rules, routes, next hops and tunnel devices, subnet.env and its copy, and the --cni-conf-file if it \
      equals its source. Refuses while an agent runs. The node's record in a store stays. With --pods it also removes \
      the plugin's tables, leases and records; it refuses while a pod's veth pair is there.
      """)

  @OptionGroup var options: Options

  @Flag(help: "Also remove what the plugin keeps of pods.")
  var pods = false

  func run() throws {
    let agent = NodeAgent(try options.settings())
    // The lock files stay: a process that waits for one of them would hold the lock of a removed file.
    let lock = try AgentLock.claim(options.stateDir)
    let left = LeftByPods(stateDirectory: options.stateDir)
    if pods {
      let running = try left.runningPods()
      guard running.isEmpty else { throw PodsRun(pods: running) }
    }
    try agent.clean { change in
      print(change.verb + (change.subject.first.map { ": \($0.value)" } ?? ""))
    }
    switch options.store {
    case .file: break
    case .etcd: print("etcd still holds the lease until it runs out, for the case that this node comes back")
    case .kubernetes: print("the node's annotations in Kubernetes stay as they are")
    }
    if pods { print("pods' tables are gone; addresses freed: \(try left.remove())") }
    _ = consume lock
  }
}

/// `clean --pods` on a node that has pods.
struct PodsRun: Error, CustomStringConvertible {
  let pods: [String]

  var description: String {
    let names = pods.prefix(5).joined(separator: ", ") + (pods.count > 5 ? ", …" : "")
    return "pods run on this node (\(names)): let the container runtime remove them first; nothing was touched"
  }
}
