import EspalierComm
import EspalierNN
import EspalierState
import Foundation

/// What rank 0 tells of a run: lines on the console and in metrics.jsonl. On other ranks it is silent.
final class RunReport {
  private let console: Console
  private let journal: Journal?
  private let schedule: Schedule
  private var stepCount: Int { schedule.stepCount }
  private var growthCount: Int {
    schedule.phases.count { if case .grow = $0.phase { true } else { false } }
  }
  private let logEvery: Int
  private let began = ReportClock.uptime()
  /// Of rank 0, where there are others.
  private let meter: CommunicationMeter?
  private var communicated = CommunicationTime()

  /// Opens the journal and says how the run begins.
  init(_ run: ResolvedRun, _ communicator: Communicator, _ options: TrainerOptions, _ start: RunStart) throws {
    let speaks = communicator.rank == 0
    console = Console(rank: speaks && options.prints ? 0 : -1, interval: run.settings.log.console)
    schedule = run.schedule
    logEvery = run.settings.log.every
    meter = speaks && communicator.size > 1 ? CommunicationMeter() : nil
    if let meter { communicator.observe(with: meter) }
    journal = try communicator.together("opening metrics.jsonl") {
      speaks ? try Journal(path: options.runDirectory + "/metrics.jsonl", completed: start.state.step) : nil
    }
    for note in start.notes { warn(start.state.step, note) }
    console.line(
      "\(run.settings.model.name) of \(run.blueprint.count) parameters on \(communicator.size) rank\(communicator.size == 1 ? "" : "s") "
        + "(\(options.transport), ZeRO \(run.stageText), \(run.lanes) lanes): \(run.data.training.description)")
    for (host, members) in Dictionary(grouping: communicator.members, by: \.host).sorted(by: { $0.key < $1.key }) {
      console.line("on \(host): " + members.map { "rank \($0.rank) pid \($0.pid)" }.joined(separator: ", "))
    }
    console.line("kernels: \(KernelLevel.description)")
    console.line("communication: \(communicator.topology)")
    if start.isResume {
      console.line("resuming after step \(start.state.step) from \(start.checkpoint)")
      write(
        try JournalEntry.resume(step: start.state.step, from: start.checkpoint, ranks: communicator.size, changes: []))
    } else {
      write(
        try JournalEntry.start(
          settings: run.settings, parameters: run.blueprint.count, ranks: communicator.size,
          data: run.data.training.description))
    }
  }

  func step(
    _ number: Int, _ report: TrainingStep.Report, rate: Double, seconds: Double, _ progress: RunProgress,
    endsPhase: Bool
  ) {
    console.progress(
      Console.Progress(
        step: number, stepCount: stepCount, loss: report.loss, tokensPerSecond: Double(report.weight) / seconds,
        secondsPerStep: seconds, growths: progress.growths, growthCount: growthCount))
    // The last step of a phase always has a line: reports begin and end there.
    guard number % logEvery == 0 || endsPhase else { return }
    let total = meter?.total
    write(
      .step(
        number, loss: report.loss, rate: rate, gradientNorm: report.gradientNorm, tokens: report.weight,
        seconds: seconds, communication: total.map { $0 - communicated }, progress: progress,
        largestLogit: report.peaks.max(), clippedHeads: report.clippedHeads))
    communicated = total ?? communicated
  }

  func digested(_ step: Int, _ digests: StepDigests) { write(.digest(step: step, digests)) }

  func traced(_ sentence: String) { console.line(sentence) }

  func passed(_ border: ScheduleCursor.Border, step: Int) {
    let name = schedule.phases[border.to].name
    console.line("step \(step): phase \(border.to), \(name), begins")
    write(.border(step: step, from: border.from, to: border.to, name: name))
  }

  /// A task was measured.
  func measured(_ step: Int, _ sentence: String, _ entry: JournalEntry) {
    console.line("step \(step): \(sentence)")
    write(entry)
  }

  func grew(_ growth: FinishedGrowth, step: Int, _ progress: RunProgress) {
    console.line(
      "step \(step): grown by \(growth.name) to \(SettingValue.mapping(growth.change.options).recipeText), "
        + "\(growth.parametersBefore) → \(growth.parametersAfter) parameters, \(growth.fidelity)")
    console.line(
      String(
        format: "step %d: loss on a held batch %.5f → %.5f, in %.2f s", step, growth.lossBefore, growth.lossAfter,
        growth.seconds))
    write(
      .growth(
        step: step, name: growth.name, to: growth.change,
        parameters: (growth.parametersBefore, growth.parametersAfter), loss: (growth.lossBefore, growth.lossAfter),
        seconds: growth.seconds, progress: progress))
  }

  func evaluated(_ step: Int, _ result: EvaluationResult, seconds: Double, _ progress: RunProgress) {
    let bits = result.bitsPerByte.map { String(format: ", %.3f bits a byte", $0) } ?? ""
    console.line(
      String(format: "step %d: validation loss %.4f%@, accuracy %.3f", step, result.loss, bits, result.accuracy))
    write(
      .evaluation(
        step: step, loss: result.loss, accuracy: result.accuracy, bitsPerByte: result.bitsPerByte,
        targets: result.targets, seconds: seconds, progress: progress))
  }

  func skipped(_ step: Int, _ found: [NonFinite]) {
    warn(step, "step \(step) was skipped on all ranks: its loss or gradient is not finite")
    for place in found {
      warn(
        step,
        "  lane \(place.lane), segment '\(place.segment)', parameter '\(place.parameter)', samples \(place.samples)")
      write(
        .skipped(
          step: step, segment: place.segment, parameter: place.parameter, lane: place.lane, samples: place.samples))
    }
  }

  func saved(_ outcome: CheckpointSaver.Outcome) {
    for note in outcome.notes { warn(outcome.step, note) }
    guard outcome.failure.isEmpty else {
      return warn(outcome.step, "the checkpoint of step \(outcome.step) failed: \(outcome.failure)")
    }
    console.line(
      String(
        format: "saved %@ (%.1f MB, %.2f of raw, %.2f s%@)", outcome.path, Double(outcome.storedBytes) / 1e6,
        Double(outcome.storedBytes) / Double(max(outcome.rawBytes, 1)), outcome.seconds,
        outcome.linkedBytes > 0
          ? String(format: "; %.1f MB of frozen weights linked", Double(outcome.linkedBytes) / 1e6) : ""))
    write(
      .save(
        step: outcome.step, path: outcome.path, bytes: outcome.storedBytes, seconds: outcome.seconds,
        waited: outcome.waited))
  }

  func finished(_ outcome: TrainingOutcome) {
    console.finish()
    write(
      .finish(
        step: outcome.step, reason: outcome.end == .finished ? "done" : "stopped",
        seconds: ReportClock.uptime() - began))
    if let journal {
      do { console.line("report: \(try ReportPage.write(run: runDirectory(of: journal)))") } catch {
        // A run that did no step has nothing to draw; a full disk is no reason to lose a run.
        if outcome.step > 0 { warn(outcome.step, "\(error)") }
      }
    }
    switch outcome.end {
    case .finished: console.line("done after step \(outcome.step); newest checkpoint: \(outcome.checkpoint)")
    case .stopped:
      console.line(
        "stopped as asked after step \(outcome.step); go on with --resume (checkpoint: \(outcome.checkpoint))")
    }
  }

  private func runDirectory(of journal: Journal) -> String { String(journal.path.dropLast("/metrics.jsonl".count)) }

  private func warn(_ step: Int, _ text: String) {
    console.line(text)
    write(.warning(step: step, text))
  }

  /// A journal that cannot be written is no reason to lose a run; it is told once a line.
  private func write(_ entry: JournalEntry) {
    do { try journal?.append(entry) } catch { console.line("\(error)") }
  }
}
