internal import ArgumentParser
internal import Linux
internal import NodeFastPath
internal import NodeRoutes
internal import NodeRules
internal import PodRules

struct CleanCommand: CommandWithOptions {
  static let configuration = CommandConfiguration(
    commandName: "clean",
    abstract: "Remove what the helper made on this node.",
    discussion: """
      Its rules, routes, next hops and tunnel devices, subnet.env and its copy, and the --cni-conf-file that is as its \
      source. Refuses while an agent runs. What a store holds of the node stays there. With --pods also the plugin's \
      tables, leases and records; refuses while a pod's cable is here.
      """)

  @OptionGroup var options: Options

  @Flag(help: "Also what the plugin keeps of pods.")
  var pods = false

  func run() throws {
    let agent = try NodeAgent(options)
    // The lock files stay: whoever waits for one of them would else hold the lock of a file that is no more.
    let lock = try AgentLock.claim(options.stateDir)
    let left = LeftByPods(stateDirectory: options.stateDir)
    if pods {
      let running = try left.runningPods()
      guard running.isEmpty else { throw PodsRun(pods: running) }
    }
    // Nothing stays because something else could not be removed.
    let routes = Result { try agent.reconciler.clean() }
    let fastPath = Result { try agent.fastPath.clean() }
    for change in try agent.rules.clean() { print("\(change.verb.rawValue): \(change.subject)") }
    if let file = agent.networkConfiguration, try file.remove() { print("removed: \(file.destination)") }
    if try fastPath.get() { print("fast path removed") }
    let removed = try routes.get()
    for device in removed.devices { print("device removed: \(device)") }
    print("routes removed: \(removed.routes); the lease is gone from this node")
    switch options.store {
    case .file: break
    case .etcd: print("etcd still holds it until it runs out, for the case that this node comes back")
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
