import Testing
import TestSupport

/// Everything that needs a kernel other than this machine's. One command at a time runs in the virtual machine, so its
/// suites wait for each other here, where waiting holds no thread.
@Suite(.requiresVirtualMachine, .serialized, .timeLimit(.minutes(10)))
struct VirtualMachineTests {}
