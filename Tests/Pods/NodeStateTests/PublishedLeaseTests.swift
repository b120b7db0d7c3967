import Addresses
import Linux
import NodeState
import Testing
import TestSupport

@Suite struct PublishedLeaseTests {
  private let directory: TemporaryDirectory
  private let files: PublishedLease
  private let lease: SubnetLease

  init() throws {
    directory = try TemporaryDirectory()
    lease = try SubnetLease(
      networks: [#require(IPPrefix("10.244.0.0/16"))], subnets: [#require(IPPrefix("10.244.1.1/24"))], mtuBytes: 1500,
      masquerades: false)
    files = PublishedLease(
      subnetFile: directory.file("run/subnet.env"), leaseCopy: directory.file("lib/lease.env"),
      stateDirectory: directory.file("run"))
  }

  private func mark() throws -> NodesFileMark {
    try NodesFileMark(#require(try Files.identity("/proc/self/exe")))
  }

  @Test func bothFilesAndTheMarkAreWritten() throws {
    #expect(try files.publish(lease, mark: mark()))
    #expect(try SubnetLease.read(files.subnetFile) == lease)
    #expect(try SubnetLease.read(files.leaseCopy) == lease)
    #expect(try mark().isStored(in: files.stateDirectory))
  }

  @Test func theSameLeaseIsNotWrittenAgain() throws {
    #expect(try files.publish(lease, mark: nil))
    let before = try Files.identity(files.subnetFile)
    #expect(try !files.publish(lease, mark: nil))
    #expect(try Files.identity(files.subnetFile) == before)
  }

  @Test func aRemovedFileIsWrittenAgain() throws {
    #expect(try files.publish(lease, mark: nil))
    try Files.remove(files.leaseCopy)
    try Files.remove(files.subnetFile)
    #expect(try files.publish(lease, mark: nil))
    #expect(try SubnetLease.read(files.leaseCopy) == lease)
  }

  @Test func removeLeavesNothing() throws {
    let mark = try mark()
    _ = try files.publish(lease, mark: mark)
    try files.remove()
    try files.remove()
    #expect(try Files.names(in: files.stateDirectory).isEmpty)
    #expect(try Files.names(in: directory.file("lib")).isEmpty)
  }
}
