internal import Linux
internal import Netlink
internal import NodeState

/// The node's network as one ADD changes it: socket, state directory, and the changes to take back if ADD fails.
struct HostNetwork: ~Copyable {
  var socket: RouteSocket
  let state: StateDirectory
  var undo = Undo()

  init(state: StateDirectory) throws(NetlinkError) {
    socket = try RouteSocket()
    self.state = state
  }
}
