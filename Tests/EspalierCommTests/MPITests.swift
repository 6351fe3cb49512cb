import EspalierComm
import EspalierTesting
import Foundation
import Testing

@Suite("MPI", .serialized, .enabled(if: MPIRun.runs, "\(MPIRun.skipReason)"))
struct MPITests {
  private let product = "espalier-conformance"

  @Test("processes under mpirun keep every law", arguments: [1, 2, 3])
  func laws(ranks: Int) throws {
    let outcome = try MPIRun.run(ranks: ranks, product: product)
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.output.contains("all laws hold"), "\(outcome)")
    let ranksSeen = outcome.lines.filter { $0.hasPrefix("rank ") }
    for line in ranksSeen { print(line) }
    #expect(ranksSeen.count == ranks, "\(outcome)")
    #expect(Set(ranksSeen.compactMap { $0.split(separator: " ").last }).count == ranks, "\(outcome)")
  }

  @Test("they keep them with checks, small chunks and messages cut into parts")
  func smallParts() throws {
    let outcome = try MPIRun.run(
      ranks: 3, product: product, ["--checks", "--chunk", "50", "--maximum", "100"])
    #expect(outcome.status == 0 && outcome.output.contains("all laws hold"), "\(outcome)")
  }

  @Test(
    "they keep them with and without windows, and between pretended hosts",
    arguments: [["--no-windows"], ["--hosts", "0,0,1"], ["--hosts", "0,1,0", "--chunk", "50"], ["--hosts", "0,1,2"]])
  func topologies(arguments: [String]) throws {
    let outcome = try MPIRun.run(ranks: 3, product: product, arguments)
    #expect(outcome.status == 0 && outcome.output.contains("all laws hold"), "\(outcome)")
    #expect(!outcome.errors.contains("warning:"), "\(outcome)")
  }

  @Test("native sums are right within rounding, also in rounds and where a rank has no node", arguments: [2, 3])
  func nativeSums(ranks: Int) throws {
    let outcome = try MPIRun.run(ranks: ranks, product: product, ["--native", "--case", "native"])
    #expect(outcome.status == 0 && outcome.output.contains("native sums are right"), "\(outcome)")
  }

  @Test("where windows have no room the slabs are private, the laws hold and the reason is told once")
  func noRoom() throws {
    let outcome = try MPIRun.run(
      ranks: 2, product: product, environment: ["OMPI_MCA_osc_sm_backing_directory": "/nowhere"])
    #expect(outcome.status == 0 && outcome.output.contains("all laws hold"), "\(outcome)")
    #expect(
      outcome.errors.contains("slabs are not shared between the ranks of a host: /nowhere cannot be asked"),
      "\(outcome)")
    #expect(outcome.errors.components(separatedBy: "slabs are not shared").count == 2, "\(outcome)")
  }

  @Test(
    "no file of shared memory is left after the end, an error, or the death of a rank",
    arguments: ["laws", "throw", "die"])
  func nothingIsLeft(scenario: String) throws {
    try Runs.inTemporaryDirectory { directory in
      // In place of /dev/shm, where other jobs come and go.
      let outcome = try MPIRun.run(
        ranks: 2, product: product, ["--case", scenario],
        environment: [
          "OMPI_MCA_osc_sm_backing_directory": directory, "OMPI_MCA_btl_vader_backing_directory": directory,
        ], timeoutSeconds: 20)
      #expect(!outcome.isTimedOut && (outcome.status == 0) == (scenario == "laws"), "\(outcome)")
      #expect(!outcome.errors.contains("slabs are not shared"), "\(outcome)")
      func left() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: directory) }
      let started = Date()
      while try !left().isEmpty, started.timeIntervalSinceNow > -5 { Thread.sleep(forTimeInterval: 0.1) }
      #expect(try left() == [], "\(outcome)")
    }
  }

  @Test("a process started without mpirun is a world of one that keeps every law")
  func worldOfOne() throws {
    let outcome = try ProcessRunner.run(try ProcessRunner.product(product), [])
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.output.hasPrefix("rank 0 of 1 on "), "\(outcome)")
  }

  @Test("a world of one stops when more ranks were announced", arguments: ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
  func announcedMore(variable: String) throws {
    let outcome = try ProcessRunner.run(try ProcessRunner.product(product), [], environment: [variable: "4"])
    #expect(outcome.status == 1 && !outcome.isTimedOut, "\(outcome)")
    #expect(
      outcome.errors.contains("the launcher announced 4 ranks (\(variable)), but MPI sees a world of 1"), "\(outcome)")
  }

  @Test("a rank that throws ends the job with its exit code within seconds")
  func throwingRank() throws {
    let outcome = try MPIRun.run(ranks: 3, product: product, ["--case", "throw"], timeoutSeconds: 20)
    #expect(outcome.status == 3 && !outcome.isTimedOut, "\(outcome)")
    #expect(outcome.errors.contains("failed: rank 2 was told to fail"), "\(outcome)")
  }

  @Test("ranks at different collectives hear of each other")
  func mismatch() throws {
    let outcome = try MPIRun.run(ranks: 3, product: product, ["--checks", "--case", "mismatch"], timeoutSeconds: 20)
    #expect(outcome.status == 3 && !outcome.isTimedOut, "\(outcome)")
    #expect(
      outcome.errors.contains("is at barrier 'blocks.4' (sequence 1)")
        && outcome.errors.contains("is at barrier 'blocks.3' (sequence 1)"), "\(outcome)")
  }

  @Test("without checks a message of another size is an error that names rank, collective and label")
  func differentSizes() throws {
    let outcome = try MPIRun.run(ranks: 2, product: product, ["--case", "sizes"], timeoutSeconds: 20)
    #expect(outcome.status == 3 && !outcome.isTimedOut, "\(outcome)")
    #expect(outcome.errors.contains("allGather 'blocks.3' (sequence 1): "), "\(outcome)")
    #expect(
      outcome.errors.contains("rank 1 sent more bytes where rank 0 expected 3920")
        || outcome.errors.contains("rank 0 sent more bytes where rank 1 expected 40"), "\(outcome)")
  }

  @Test("a rank that never comes ends the job at the deadline although MPI is blocked")
  func absentRank() throws {
    let outcome = try MPIRun.run(
      ranks: 2, product: product, ["--case", "absent", "--deadline", "2"], timeoutSeconds: 20)
    #expect(outcome.status == 3 && !outcome.isTimedOut, "\(outcome)")
    #expect(outcome.errors.contains("rank 0, barrier 'blocks.3' (sequence 1): not complete after 2.0 s"), "\(outcome)")
  }

  @Test("a rank that returns early ends the job")
  func earlyRank() throws {
    let outcome = try MPIRun.run(
      ranks: 2, product: product, ["--checks", "--case", "early"], timeoutSeconds: 20)
    #expect(outcome.status == 3 && !outcome.isTimedOut, "\(outcome)")
    #expect(outcome.errors.contains("is at close 'end' (sequence 1)"), "\(outcome)")
  }
}
