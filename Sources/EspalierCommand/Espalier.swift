/// The command `espalier` as a library function, so that an extension can start it with a catalogue of its own.
public enum Espalier {
  public static func main() {}
}
