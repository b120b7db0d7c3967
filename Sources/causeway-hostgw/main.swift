import ArgumentParser
import Logging
import ServiceLifecycle
struct A: ParsableCommand { @Option var x: String? }
A.main()
