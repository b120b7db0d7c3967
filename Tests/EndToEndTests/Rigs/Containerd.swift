import JSON
import Linux
import TestSupport

/// A containerd in a node, with the plugins that `hack/install` installs. It and its containers end with this object.
final class Containerd {
  let node: TestNode
  let group: ControlGroup
  private var daemon: RunningProgram?
  static let socket = "/run/containerd-test/socket"

  /// - Parameter networks: how many configurations of /etc/cni/net.d a pod of CRI gets.
  init(_ node: TestNode, networks: Int = 1) throws {
    self.node = node
    group = try ControlGroup()
    try node.sh(
      """
      mkdir -p /run/containerd-test /etc/cni/net.d
      cat >/run/containerd-test/config.toml <<END
      version = 2
      root = "/run/containerd-test/root"
      state = "/run/containerd-test/state"
      [grpc]
      address = "\(Containerd.socket)"
      [plugins."io.containerd.grpc.v1.cri"]
      sandbox_image = "\(Containerd.image)"
      # Inside of tests, a container may not have the right to a lower OOM score than containerd's.
      restrict_oom_score_adj = true
      disable_tcp_service = true
      [plugins."io.containerd.grpc.v1.cri".containerd]
      snapshotter = "native"
      [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/opt/cni/bin"
      conf_dir = "/etc/cni/net.d"
      max_conf_num = \(networks)
      END
      \(Binaries.packageRoot)/hack/install
      cp /usr/lib/cni/loopback /usr/lib/cni/portmap /usr/lib/cni/bandwidth /opt/cni/bin/
      """)
    try start()
  }

  /// Starts containerd, or restarts it after `kill`.
  func start() throws {
    let daemon = try node.start(group.enter + ["containerd", "--config", "/run/containerd-test/config.toml"])
    self.daemon = daemon
    guard try eventually(within: .seconds(60), { try ctr("version").status == 0 }) else {
      throw NotUp(output: daemon.output)
    }
  }

  struct NotUp: Error {
    let output: String
  }

  /// Kills containerd by SIGKILL. Unfinished work stays as it is, and its children go on.
  func kill() {
    daemon?.stop()
    daemon = nil
  }

  /// Runs `ctr`, containerd's own client.
  func ctr(_ arguments: String...) throws -> CommandResult { try ctr(arguments) }

  func ctr(_ arguments: [String]) throws -> CommandResult {
    try node.run(["ctr", "--address", Containerd.socket] + arguments)
  }

  /// Writes a plugin list by rename, as an installer does.
  func configure(_ file: String, _ list: JSONObject) throws {
    let text = try JSONValue.object(list).text(.indented(2))
    try Files.replace(node.path("/etc/cni/net.d/\(file)"), with: Array(text.utf8))
  }

  /// The image of a pod that sleeps.
  static let image = "localhost/pause:1"

  /// Makes the image and imports it, since containerd cannot pull images here.
  func importImage() throws {
    try node.sh(
      """
      mkdir -p /run/image/root/bin && cp /bin/busybox /run/image/root/bin/ && cd /run/image
      tar -C root -cf layer.tar .
      digest=$(sha256sum layer.tar | cut -d' ' -f1)
      cat >config.json <<END
      {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/bin/busybox", "sleep", "3600"]},
       "rootfs": {"type": "layers", "diff_ids": ["sha256:$digest"]}}
      END
      cat >manifest.json <<END
      [{"Config": "config.json", "RepoTags": ["\(Containerd.image)"], "Layers": ["layer.tar"]}]
      END
      tar -cf image.tar config.json manifest.json layer.tar
      """)
    try ctr("--namespace", "k8s.io", "images", "import", "/run/image/image.tar").succeeded()
  }
}
