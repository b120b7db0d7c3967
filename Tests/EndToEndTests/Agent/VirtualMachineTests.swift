import Testing
import TestSupport

/// Tests that need another kernel than this machine's. The virtual machine runs one command at a time. `.serialized`
/// makes its suites wait here, where waiting holds no thread.
@Suite(.requiresVirtualMachine, .serialized, .timeLimit(.minutes(10)))
struct VirtualMachineTests {}
