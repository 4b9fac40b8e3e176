/** Where in a log a revision is: what two copies agree on before one follows the other. */
import { LogTrimmed } from './errors.js'
import { lastRevisionOf } from './frame.js'
import { positionAfter, type LogPosition } from './position.js'
import { LogReader, type ReaderSource } from './reader.js'

/** The last frame at or before `revision`, `undefined` if it is not there any more. */
export async function positionAtOrBefore(
  source: ReaderSource,
  last: LogPosition,
  revision: number,
): Promise<LogPosition | undefined> {
  if (revision >= last.revision) return last
  const segment = source.segmentFor(revision + 1)
  if (segment === undefined) return undefined
  let position = segment.previous
  const reader = new LogReader(source, position.revision + 1)
  try {
    // A segment says itself where the one before it ends, so that no other has to be read.
    while (position.revision < revision) {
      const frame = await reader.next()
      if (frame === undefined || lastRevisionOf(frame) > revision) break
      position = positionAfter(frame)
    }
    return position
  } catch (error) {
    if (error instanceof LogTrimmed) return undefined
    throw error
  } finally {
    await reader.close()
  }
}
