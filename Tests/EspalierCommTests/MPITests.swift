import EspalierComm
import EspalierTesting
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
