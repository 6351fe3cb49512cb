internal import Foundation

/// Where ranks come from: threads of this process, or processes of an MPI job. To everything above they are the same.
public enum World {
  /// Runs `body` on `ranks` threads of this process and returns what they return, by rank.
  ///
  /// - Throws: the first error of any rank. A rank that throws wakes every rank that waits for it (`CommunicationError.Kind.peerFailed`), and this
  ///   returns when all have ended.
  public static func inProcess<R: Sendable>(
    ranks: Int, options: CommunicationOptions = .init(), _ body: @escaping @Sendable (Communicator) throws -> R
  ) throws -> [R] {
    precondition(ranks >= 1, "a world of \(ranks) ranks")
    guard options.reduction == .ordered else { throw CommunicationError.noNativeSums(rank: 0) }
    let world = InProcessWorld(size: ranks)
    let results = Monitor([R?](repeating: nil, count: ranks))
    let threads = (0..<ranks).map { rank in
      DedicatedThread(named: "rank \(rank)", stackBytes: 64 << 20) {
        do {
          let result = try life(of: rank, in: world, options: options, body)
          results.update { $0[rank] = result }
        } catch {
          world.poison(rank: rank, cause: error)
        }
      }
    }
    for thread in threads { thread.join() }
    if let cause = world.firstCause { throw cause }
    return results.read { $0.compactMap { $0 } }
  }

  private static func life<R>(
    of rank: Int, in world: InProcessWorld, options: CommunicationOptions, _ body: (Communicator) throws -> R
  ) throws -> R {
    let communicator = try Communicator(rank: rank, options: options) {
      InProcessBackend(rank: rank, world: world, pretendedHosts: options.pretendedHosts)
    }
    do {
      let result = try body(communicator)
      try communicator.close()
      return result
    } catch {
      world.poison(rank: rank, cause: error)
      communicator.abandon()
      throw error
    }
  }

  /// Runs `body` on this process's rank of the MPI job; without mpirun that is a world of one.
  ///
  /// If the body throws and there are other ranks, `options.onFailure` is called and the whole job ends with its exit code: this does not return.
  /// In a world of one the error is thrown on.
  ///
  /// - Throws: `.worldIncomplete` if the launcher announced more ranks than MPI found: N worlds of one would each train, and overwrite each other.
  public static func mpi<R>(options: CommunicationOptions = .init(), _ body: (Communicator) throws -> R) throws -> R {
    let communicator = try Communicator(options: options) {
      try MPIBackend(options)
    }
    do {
      try requireComplete(size: communicator.size)
    } catch {
      try? communicator.close()
      throw error
    }
    do {
      let result = try body(communicator)
      try communicator.close()
      return result
    } catch {
      guard communicator.size > 1 else {
        communicator.abandon()
        throw error
      }
      end(communicator, because: error, options: options)
    }
  }

  /// Ends the job: through MPI if its thread is free, else by ending this process, which the launcher turns into an abort.
  private static func end(_ communicator: Communicator, because error: any Error, options: CommunicationOptions)
    -> Never
  {
    let report: @Sendable (any Error) -> Int32 =
      options.onFailure ?? { error in
        FileHandle.standardError.write(Data("\(error)\n".utf8))
        return 1
      }
    let code = report(error)
    let exitCode = code == 0 ? 1 : code
    fflush(nil)
    // MPI_Abort itself has been seen to hang; two seconds are enough for one that does not.
    communicator.abort(exitCode: exitCode, atMost: 2)
    _exit(exitCode)
  }
}
