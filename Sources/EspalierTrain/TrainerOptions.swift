package import EspalierComm
package import EspalierMethods
package import EspalierState

/// What the command line says of a run besides its recipe.
package struct TrainerOptions: Sendable {
  /// Where checkpoints, metrics and the lock lie.
  package var runDirectory: String
  package var resumes = false
  /// Keys whose change a resume accepts.
  package var allowed: [String] = []
  /// Take the run from a trainer on another host that cannot be asked whether it lives.
  package var breaksLock = false
  /// "in-process" or "mpi", for the lineage.
  package var transport = "in-process"
  package var catalogue = Catalogue.standard
  /// Save and end after this step, as a signal would; 0 = never.
  package var stopsAfter = 0
  /// Records what every rank does and ends a run that hangs; nil watches nothing.
  package var watchdog: Watchdog?
  /// Steps that trace.json covers, from the first that this process takes; 0 = no trace.
  package var traceSteps = 0
  /// What saves use; tests make its calls fail.
  package var fileSystem = FileSystem.real
  /// Whether rank 0 prints progress.
  package var prints = true

  package init(runDirectory: String) { self.runDirectory = runDirectory }
}

/// How a run ended.
package struct TrainingOutcome: Sendable {
  package enum End: Sendable, Hashable {
    case finished
    /// A signal or the time limit asked for it; a checkpoint was saved and the run can be resumed.
    case stopped
  }

  package let end: End
  /// Steps done.
  package let step: Int
  /// The newest checkpoint.
  package let checkpoint: String
  package let lastLoss: Double
  package let evaluation: EvaluationResult?

  /// 0, or 75 for "run me again", which schedulers understand.
  package var exitCode: Int32 { end == .finished ? 0 : 75 }
}
