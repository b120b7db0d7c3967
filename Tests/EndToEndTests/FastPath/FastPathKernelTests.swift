import JSON
import Testing
import TestSupport

extension VirtualMachineTests {
  /// The programs on Debian's kernel of 2022, which has conntrack as a module. The other node has no fast path.
  @Suite struct FastPathKernelTests {
    @Test(arguments: ["conntrack", "sight"]) func debiansKernelCarriesFlows(_ flows: String) throws {
      let node = try VirtualNode()
      try node.sh("mount -t bpf bpf /sys/fs/bpf")
      try node.addPod("pod")
      try node.sh(
        """
        ip netns add other
        ip link add eth0 type veth peer name eth0 netns other
        ip address add 192.0.2.11/24 dev eth0 && ip link set eth0 up
        ip -n other link set lo up && ip -n other link set eth0 up
        ip -n other address add 192.0.2.12/24 dev eth0 && ip -n other address add 10.244.2.2/32 dev lo
        ip -n other route add 10.244.1.0/24 via 192.0.2.11
        """)
      let file: JSONValue = [
        "network": ["Network": "10.244.0.0/16"],
        "nodes": [
          ["name": "node-a", "publicIP": "192.0.2.11", "subnet": "10.244.1.0/24"],
          ["name": "node-b", "publicIP": "192.0.2.12", "subnet": "10.244.2.0/24"],
        ],
      ]
      try node.run(["/bin/sh", "-ec", "cat >/etc/causeway/nodes.json"], input: file.text()).succeeded()
      let options = ["--node-name", "node-a", "--fast-path", "on", "--fast-path-flows", flows]
      try node.run([Binaries.hostgw, "sync"] + options, limit: .seconds(120)).succeeded()
      try HostRuntime(node: node).add(
        "pod",
        ["cniVersion": "1.0.0", "name": "podnet", "type": "causeway", "capabilities": ["bandwidth": true]])

      // ICMP is carried after both directions were seen, TCP as `flows` says. A megabyte is sent and echoed.
      #expect(try node.run(["ip", "netns", "exec", "pod", "ping", "-nc", "5", "-W", "5", "10.244.2.2"]).status == 0)
      #expect(try carried(node, options).fromPod >= 2)
      let before = try carried(node, options)
      let sums = try node.sh(
        """
        head -c 1000000 /dev/urandom >/tmp/sent
        ip netns exec other nc -l -p 5000 -e cat &
        for i in $(seq 600); do ip netns exec other cat /proc/net/tcp /proc/net/tcp6 | grep -q ':1388 ' && break; sleep 0.1; done
        { cat /tmp/sent; sleep 5; } | ip netns exec pod timeout 60 nc 10.244.2.2 5000 | head -c 1000000 >/tmp/received || true
        md5sum </tmp/sent; md5sum </tmp/received
        """, limit: .seconds(120)
      ).split(separator: "\n")
      try #require(sums.count == 2)
      #expect(sums[0] == sums[1])
      let after = try carried(node, options)
      #expect(after.fromPod - before.fromPod > 10)
      #expect(after.toPod - before.toPod > 10)
    }

    private func carried(_ node: VirtualNode, _ options: [String]) throws -> (fromPod: Int64, toPod: Int64) {
      let json = try node.run([Binaries.hostgw, "status", "--json"] + options, limit: .seconds(60)).output
      let fastPath = try JSONValue(parsing: Array(json.utf8)).object?["fastPath"]?.object
      func packets(_ direction: String) -> Int64 {
        let count = fastPath?[direction]?.object?["carried"]?.object?["packets"]
        if case .integer(let packets)? = count { return packets } else { return 0 }
      }
      return (packets("from-pod"), packets("to-pod"))
    }
  }
}
