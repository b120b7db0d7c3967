import JSON
import Testing
import TestSupport

/// Pods by containerd's CRI service, as for a kubelet.
@Suite(.requiresRoot, .timeLimit(.minutes(3)))
struct PodSandboxTests {
  /// A node that runs pods. `plugins` follow causeway in the chain; `second` is a second network.
  private func containerd(
    _ causeway: JSONObject = [:], plugins: [JSONValue] = [], second: JSONObject? = nil
  ) throws -> Containerd {
    let containerd = try Containerd(TestNode(), networks: second == nil ? 1 : 2)
    try containerd.importImage()
    let runtime = Runtime(node: containerd.node, version: "1.0.0")
    let first: [JSONValue] = [.object(runtime.configuration(causeway))]
    try containerd.configure(
      "10-podnet.conflist", ["cniVersion": "1.0.0", "name": "podnet", "plugins": .array(first + plugins)])
    if let second {
      try containerd.configure(
        "20-second.conflist",
        ["cniVersion": "1.0.0", "name": "second", "plugins": [.object(runtime.configuration(second))]])
      // A restart makes it read both files.
      containerd.kill()
      try containerd.start()
    }
    #expect(try eventually { try containerd.isNetworkReady() })
    return containerd
  }

  /// State of pods that must be removed with them: causeway's and containerd's.
  private func remains(_ containerd: Containerd) throws -> [String] {
    try containerd.node.remains() + containerd.sandboxes().map(\.id)
      + containerd.node.lines("ls -A /run/netns /var/lib/cni/results 2>/dev/null | grep -v : || true")
  }

  @Test func manyPodsAreCreatedAtOnce() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    let containerd = try Containerd(node)
    try containerd.importImage()
    #expect(try !containerd.isNetworkReady())
    try node.sh("cp \(Binaries.packageRoot)/conf/10-causeway.conflist /etc/cni/net.d/")
    #expect(try eventually { try containerd.isNetworkReady() })

    // One host port only, because portmap fails when several processes create its first chains.
    let pods = (0..<8).map { Containerd.Pod(name: "pod-\($0)", hostPort: $0 == 5 ? 8080 : nil) }
    let sandboxes = try containerd.run(pods)
    for (pod, sandbox) in zip(pods, sandboxes) {
      #expect(sandbox.isReady && sandbox.name == pod.name)
      let inside = try node.addresses("eth0", inPod: sandbox.namespace)
      #expect(inside == [sandbox.addresses[0] + "/24", sandbox.addresses[1] + "/64"])
    }
    #expect(Set(sandboxes.flatMap(\.addresses)).count == 16)
    for address in sandboxes[7].addresses {
      #expect(try node.ping(from: sandboxes[0].namespace, address))
    }

    try node.sh("mkdir /run/www && echo served >/run/www/index.html")
    let enter = ["ip", "netns", "exec", sandboxes[5].namespace]
    let server = try node.start(enter + ["busybox", "httpd", "-f", "-p", "80", "-h", "/run/www"])
    let isServed = try eventually {
      try node.run(["curl", "--silent", "--max-time", "2", "http://127.0.0.1:8080/"]).output == "served\n"
    }
    #expect(isServed, "\(server.output)")

    try containerd.stop(sandboxes)
    #expect(try node.remains() == [])
    try containerd.remove(sandboxes)
    #expect(try remains(containerd) == [])
  }

  @Test func podsOfTwoNetworksAreCreatedAtOnce() throws {
    let containerd = try containerd(second: [
      "bridge": "cni1", "ipam": ["ranges": [[["subnet": "10.8.0.0/24"]], [["subnet": "fd00:8::/64"]]]],
    ])
    let node = containerd.node
    let sandboxes = try containerd.run((0..<4).map { .init(name: "pod-\($0)") })
    for sandbox in sandboxes {
      #expect(try node.addresses("eth0", inPod: sandbox.namespace).count == 2)
      #expect(try node.addresses("eth1", inPod: sandbox.namespace).count == 2)
      for gateway in ["10.9.0.1", "10.8.0.1", "fd00:9::1", "fd00:8::1"] {
        #expect(try node.ping(from: sandbox.namespace, gateway))
      }
    }
    try containerd.stop(sandboxes)
    try containerd.remove(sandboxes)
    #expect(try remains(containerd) == [])
  }

  /// Uses the configuration of containerd's own tests, with causeway as `bridge` and `host-local`.
  @Test func theConfigurationOfContainerdsTestsWorks() throws {
    let node = try TestNode()
    let containerd = try Containerd(node)
    try containerd.importImage()
    try node.sh("\(Binaries.packageRoot)/hack/install --drop-in")
    try containerd.configure(
      "10-containerd-net.conflist",
      [
        "cniVersion": "1.0.0", "name": "containerd-net",
        "plugins": [
          [
            "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "promiscMode": true,
            "ipam": [
              "type": "host-local",
              "ranges": [[["subnet": "10.88.0.0/16"]], [["subnet": "2001:4860:4860::/64"]]],
              "routes": [["dst": "0.0.0.0/0"], ["dst": "::/0"]],
            ],
          ],
          ["type": "portmap", "capabilities": ["portMappings": true]],
        ],
      ])
    #expect(try eventually { try containerd.isNetworkReady() })
    let sandboxes = try containerd.run([.init(name: "a", hostPort: 8080), .init(name: "b")])
    for (from, to) in [(0, 1), (1, 0)] {
      for address in sandboxes[to].addresses + ["10.88.0.1", "2001:4860:4860::1"] {
        #expect(try node.ping(from: sandboxes[from].namespace, address))
      }
      let routes = try node.ip(json: "-6", "route", "show", "default", inPod: sandboxes[from].namespace)
      #expect(routes.map { $0["gateway"]?.string } == ["2001:4860:4860::1"])
    }
    try containerd.stop(sandboxes)
    try containerd.remove(sandboxes)
    #expect(try remains(containerd) == [])
  }

  /// Removes the namespace, as a reboot does, so that DEL comes without one.
  @Test func aRemovedNamespaceLeaksNoAddress() throws {
    let containerd = try containerd(["ipMasq": true])
    let node = containerd.node
    let sandbox = try containerd.run(.init(name: "pod"))
    #expect(Set(try node.leases()) == Set(sandbox.addresses.map { "/var/lib/cni/networks/podnet/\($0)" }))
    try node.sh("umount /run/netns/\(sandbox.namespace) && rm /run/netns/\(sandbox.namespace)")
    try containerd.stop([sandbox])
    #expect(try node.remains() == [])
    #expect(try !node.sh("nft list table inet causeway_pods").contains(sandbox.id))
    try containerd.remove([sandbox])
    #expect(try remains(containerd) == [])
  }

  @Test func aPodWhoseProcessDiedIsReplaced() throws {
    let containerd = try containerd()
    let sandbox = try containerd.run(.init(name: "pod"))
    try containerd.node.sh("kill -KILL \(sandbox.processID)")
    #expect(try eventually { try !containerd.sandbox(id: sandbox.id).isReady })
    // The kubelet creates the next pod before it removes the old one.
    let next = try containerd.run(.init(name: "pod-next"))
    try containerd.stop([sandbox])
    try containerd.remove([sandbox])
    #expect(try containerd.node.ping(from: next.namespace, "10.9.0.1"))
    #expect(try containerd.node.leases().count == 2)
    try containerd.stop([next])
    try containerd.remove([next])
    #expect(try remains(containerd) == [])
  }

  // MARK: Failed ADDs

  @Test func aPodWithoutAnAddressLeavesNothing() throws {
    let containerd = try containerd(["ipam": ["ranges": [[["subnet": "10.9.0.0/30"]]]]])
    let first = try containerd.run(.init(name: "first"))
    let refusal = try #require(throws: Containerd.CallFailed.self) { try containerd.run(.init(name: "second")) }
    #expect(refusal.description.contains("no IP addresses available in range set: 10.9.0.1-10.9.0.2"))
    #expect(try containerd.sandboxes().map(\.name) == ["first"])
    #expect(try containerd.node.hostVeths().count == 1)
    try containerd.stop([first])
    // The kubelet retries.
    let second = try containerd.run(.init(name: "second"))
    #expect(second.addresses == ["10.9.0.2"])
    try containerd.stop([second])
    try containerd.remove([first, second])
    #expect(try remains(containerd) == [])
  }

  @Test func aPodRefusedByAChainedPluginLeavesNothing() throws {
    let containerd = try containerd(["ipMasq": true], plugins: [["type": "broken"]])
    try containerd.node.install(
      plugin: "broken",
      """
      test $CNI_COMMAND = ADD || exit 0
      echo '{"code": 123, "msg": "out of luck"}'
      exit 1
      """)
    let refusal = try #require(throws: Containerd.CallFailed.self) { try containerd.run(.init(name: "pod")) }
    #expect(refusal.description.contains("out of luck"))
    #expect(try remains(containerd) == [])
    #expect(try !containerd.node.sh("nft list table inet causeway_pods").contains("podnet:"))
  }

  // MARK: Killed containerd

  /// Kills containerd while a plugin after causeway runs. containerd then restarts and deletes the pod.
  @Test func aKilledContainerdLosesNoPod() throws {
    let containerd = try containerd(plugins: [["type": "slow"]])
    let node = containerd.node
    try containerd.node.install(
      plugin: "slow",
      """
      test $CNI_COMMAND = ADD || exit 0
      while test -e /run/slow; do touch /run/waiting; sleep 0.02; done
      echo "$configuration" | jq --compact-output .prevResult
      """)
    let old = try containerd.run(.init(name: "old"))
    try node.sh("touch /run/slow")
    let caller = try containerd.begin(.init(name: "new"))
    #expect(try eventually { try node.run(["test", "-e", "/run/waiting"]).status == 0 }, "\(caller.output)")
    containerd.kill()
    #expect(try node.leases().count == 4)
    try containerd.start()
    #expect(try node.ping(from: old.namespace, "10.9.0.1"))

    let new = try #require(try containerd.sandboxes().first { $0.name == "new" })
    #expect(!new.isReady)
    try containerd.stop([new])
    #expect(Set(try node.leases()) == Set(old.addresses.map { "/var/lib/cni/networks/podnet/\($0)" }))
    #expect(try node.hostVeths().count == 1)
    try node.sh("rm /run/slow")
    try containerd.remove([new])
    let again = try containerd.run(.init(name: "new"))
    #expect(try node.ping(from: old.namespace, again.addresses[0]))
    try containerd.stop([old, again])
    try containerd.remove([old, again])
    #expect(try remains(containerd) == [])
  }

  /// Kills containerd while causeway waits in ADD. DEL runs before that ADD continues.
  @Test func anADDThatOutlivesItsDELLeavesNothing() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    let containerd = try Containerd(node)
    try containerd.importImage()
    try node.sh("mkdir -p /run/causeway && cp \(Binaries.packageRoot)/conf/10-causeway.conflist /etc/cni/net.d/")
    #expect(try eventually { try containerd.isNetworkReady() })
    let other = try node.start(["flock", "--no-fork", "/run/causeway/hand-off.lock", "sleep", "60"])
    #expect(try eventually { try node.run(["flock", "-n", "/run/causeway/hand-off.lock", "true"]).status != 0 })

    let caller = try containerd.begin(.init(name: "pod"))
    // Processes of other tests' nodes are in other mount namespaces.
    let waiting = """
      for file in $(grep -lsz '^CNI_IFNAME=eth0' /proc/[0-9]*/environ); do
        process=${file#/proc/}
        test "$(readlink ${file%environ}ns/mnt)" != "$(readlink /proc/self/ns/mnt)" || echo ${process%/environ}
      done
      """
    func isWaiting() throws -> Bool { try !node.lines(waiting).isEmpty }
    #expect(try eventually { try isWaiting() }, "\(caller.output)")
    // Stopped, so that the ADD does not time out while containerd restarts on a busy machine.
    let processes = try node.lines(waiting).joined(separator: " ")
    try node.sh("kill -STOP \(processes)")
    containerd.kill()
    try containerd.start()
    let sandboxes = try containerd.sandboxes()
    #expect(sandboxes.map(\.name) == ["pod"])
    try containerd.stop(sandboxes)
    try containerd.remove(sandboxes)
    #expect(try isWaiting(), "the ADD did not outlive its DEL")
    other.stop()
    try node.sh("kill -CONT \(processes)")
    #expect(try eventually(within: .seconds(30)) { try !isWaiting() })
    #expect(try remains(containerd) == [])
    let again = try containerd.run(.init(name: "pod"))
    #expect(try node.ping(from: again.namespace, "10.244.1.1"))
  }

  // MARK: Chains

  @Test func aBandwidthAnnotationLimitsItsPodOnly() throws {
    let containerd = try containerd(plugins: [["type": "bandwidth", "capabilities": ["bandwidth": true]]])
    let node = containerd.node
    let sandboxes = try containerd.run([
      .init(name: "free"), .init(name: "limited", annotations: ["kubernetes.io/ingress-bandwidth": "8M"]),
    ])
    for sandbox in sandboxes {
      let index = try #require(
        try node.ip(json: "link", "show", "dev", "eth0", inPod: sandbox.namespace).first?["link_index"])
      let port = try #require(try node.ip(json: "link", "show", "type", "veth").first { $0["ifindex"] == index })
      let limits = try node.sh("tc qdisc show dev \(try #require(port["ifname"]?.string))")
      #expect(limits.contains("qdisc tbf") == (sandbox.name == "limited"), "\(sandbox.name): \(limits)")
    }
    try containerd.stop(sandboxes)
    try containerd.remove(sandboxes)
    #expect(try remains(containerd) == [])
  }
}
