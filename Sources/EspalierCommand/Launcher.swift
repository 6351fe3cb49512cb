import EspalierComm
import EspalierNN
import EspalierTensor
import EspalierTrain
import Foundation

/// Starts the ranks of a command: those of the MPI job that the process belongs to, else threads of this process.
///
/// A process without mpirun or srun never starts MPI.
struct Launcher {
  /// The job that mpirun or srun announced to this process; nil without one.
  static var announcedSize: Int? {
    let announcement = World.announcement(in: ProcessInfo.processInfo.environment)
    // A Slurm step of one task is as good as no launcher: MPI would have nothing to do.
    if announcement.variable.isEmpty || (announcement.size == 1 && announcement.variable.hasPrefix("SLURM")) {
      return nil
    }
    return announcement.size
  }

  /// The rank that the launcher announced; 0 without one.
  static var announcedRank: Int {
    guard announcedSize != nil else { return 0 }
    let environment = ProcessInfo.processInfo.environment
    return ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"].lazy
      .compactMap { environment[$0].flatMap { Int($0) } }.first ?? 0
  }

  let rankCount: Int
  let usesMPI: Bool
  private let cluster: ClusterSettings

  var transport: String { usesMPI ? "mpi" : "in-process" }

  /// - Parameters:
  ///   - ranks: what `--ranks` says.
  ///   - cluster: what `--cluster` says.
  /// - Throws: `CommandError` where command line, cluster and launcher name different numbers.
  init(ranks: Int?, cluster: ClusterSettings?) throws {
    self.cluster = cluster ?? ClusterSettings()
    if let ranks, ranks < 1 {
      throw CommandError(
        .rankCount, subject: "--ranks", reason: "a run has at least one rank, not \(ranks)",
        remedy: "write --ranks 1 or more")
    }
    if let announced = Self.announcedSize {
      if let ranks, ranks != announced {
        throw CommandError(
          .rankCount, subject: "--ranks",
          reason: "this process belongs to an MPI job of \(announced) ranks, not \(ranks)",
          remedy: "leave --ranks out, or start \(ranks) ranks with launch/mpirun -n \(ranks)")
      }
      (rankCount, usesMPI) = (announced, true)
      return
    }
    if let cluster, ranks == nil, cluster.nodes > 1 {
      throw CommandError(
        .clusterDisagrees, subject: "--cluster",
        reason: "the cluster has \(cluster.nodes) nodes, but this process is on one and no MPI job was started",
        remedy: "start with launch/mpirun -n \(cluster.rankCount), or say --ranks N for ranks of this process")
    }
    (rankCount, usesMPI) = (ranks ?? cluster?.rankCount ?? 1, false)
  }

  /// Loads a job and runs it on every rank.
  ///
  /// Under MPI every rank loads for itself; where one cannot, all end with exit code 1, and the lowest that could not says why.
  /// - Returns: the exit code of the first rank.
  func run<Job: RankJob>(
    watchdog: Watchdog? = nil, _ load: () throws -> Job, _ body: @escaping @Sendable (Job, Communicator) throws -> Int32
  ) throws -> Int32 {
    guard usesMPI else {
      let job = try checked(load())
      do {
        return try World.inProcess(ranks: rankCount, options: options(job, watchdog)) { try body(job, $0) }.first ?? 1
      } catch {
        watchdog?.fail(error)
        throw error
      }
    }
    let loaded = Result { try checked(load()) }
    var options =
      (try? loaded.get()).map { self.options($0, watchdog) }
      ?? CommunicationOptions(deadlineSeconds: cluster.waitDeadline)
    options.onFailure = { error in
      // First: the others' watchdogs would take the end of this process for a crash.
      watchdog?.fail(error)
      return FailureReport.printOnce(error)
    }
    return try World.mpi(options: options) { communicator in
      guard let job = try Self.agree(loaded, communicator) else { return 1 }
      return try body(job, communicator)
    }
  }

  private func options(_ job: some RankJob, _ watchdog: Watchdog?) -> CommunicationOptions {
    var options = CommunicationOptions(
      deadlineSeconds: cluster.waitDeadline, checksCollectives: job.settings.checks.collectives,
      chunkElements: 256 * cluster.chunk, poisonsMemory: job.settings.checks.memory,
      reduction: job.settings.reduction, wire: job.settings.wire)
    options.observers = watchdog?.observers
    // A neighbour that died is the watchdog's to name, with what everyone was doing; the verdict ends this process.
    options.deathGraceSeconds = watchdog == nil ? 0 : 3
    return options
  }

  /// A watchdog for a run, as the cluster file wants it.
  /// - Parameter deadline: what the command line says in place of the cluster file.
  /// - Throws: `CommandError` for a deadline that is none.
  func watchdog(deadline: Double?) throws -> Watchdog {
    if let deadline, !(deadline >= 0 && deadline.isFinite) {
      throw CommandError(
        .deadline, subject: "--deadline", reason: "a rank cannot stand still for \(deadline) seconds",
        remedy: "write 0 or more seconds")
    }
    var options = Watchdog.Options()
    options.limits.deadlineSeconds = deadline ?? cluster.deadline
    options.progress = { (ProgressCounter.ticks, ProgressCounter.fileOperations) }
    // On a line of its own, whatever progress line stands open.
    options.report = { FailureReport.warn("\n" + $0.trimmingCharacters(in: .newlines)) }
    return Watchdog(options)
  }

  private func checked<Job: RankJob>(_ job: Job) throws -> Job {
    let threads = job.settings.threads
    if !usesMPI, job.settings.reduction == .native {
      throw CommandError(
        .notAvailable, subject: "reduction",
        reason: "native sums are MPI's, and the ranks of this command are threads of one process",
        remedy: "leave the reduction ordered, or start with launch/mpirun -n \(rankCount)")
    }
    if !usesMPI, rankCount > 1, threads != 1 {
      throw CommandError(
        .threadCount, subject: "threads",
        reason:
          "\(rankCount) ranks of one process cannot use \(threads) threads each: OpenBLAS shares its threads among them unsafely",
        remedy: "set threads to 1, or start the ranks with launch/mpirun -n \(rankCount)")
    }
    if cluster.threads > 0, threads != cluster.threads {
      throw CommandError(
        .clusterDisagrees, subject: "threads",
        reason:
          "the cluster file asks for \(cluster.threads) threads a rank and the recipe for \(threads), which gives other bits",
        remedy: "make the two agree: --set threads=\(cluster.threads), or threads: 0 in the cluster file")
    }
    return job
  }

  /// The own job where every rank has one; else nil, after one rank has said why.
  private static func agree<Job>(_ loaded: Result<Job, any Error>, _ communicator: Communicator) throws -> Job? {
    var reason = ""
    if case .failure(let error) = loaded { reason = FailureReport.sentence(error) }
    let reasons = try communicator.gatherValues(reason, label: "what the command says")
    guard let first = reasons.firstIndex(where: { !$0.isEmpty }) else { return try loaded.get() }
    if first == communicator.rank {
      FailureReport.warn("error: " + (first == 0 ? "" : "rank \(first): ") + reason)
    }
    return nil
  }
}

/// What a command computes on ranks.
protocol RankJob: Sendable {
  var settings: RunSettings { get }
}
