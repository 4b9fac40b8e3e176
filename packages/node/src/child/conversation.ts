/** What replication is made of inside a child: two ends that talk, wherever the other one is. */

/** The way to the other end. */
export interface Counterpart<Out> {
  send(message: Out): void
  /** The conversation can't go on and is over for whoever calls this. */
  broken(reason: string): void
}

/** This end, as whoever carries its messages sees it. */
export interface Conversation<In> {
  onMessage(message: In): void
  /** The other end is gone. Also called after `broken`; does nothing then. */
  end(): void
}
