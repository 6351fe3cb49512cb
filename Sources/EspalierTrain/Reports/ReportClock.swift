import Foundation

/// The two times that reports show. Nothing that decides what a run does asks either.
public enum ReportClock {
  /// Seconds since 1970.
  public static func wallTime() -> Double { Date().timeIntervalSince1970 }

  /// Seconds that only go forward.
  public static func uptime() -> Double { ProcessInfo.processInfo.systemUptime }
}
