/**
 * The data plane where clients come straight to a child: both ends of it are in one process, and what
 * `data-link.ts` carries over a socket is handed over as it is.
 *
 * As on the socket, what one turn of the event loop brings is acted on together at its end.
 */
import type { LinkFrame, LinkHandlers, LinkRequest, ReplyEnd, RequestEnd } from './data-link.js'

/** Who answers requests. */
export interface LocalHost {
  onFrame(frame: LinkRequest): void
  /** The last request of this turn has been handed over. */
  onChunkEnd(): void
}

/** `attach` makes the host's end. What that says comes to `handlers`; `onEnd` is called at the end. */
export function localLink(
  handlers: LinkHandlers,
  attach: (replies: ReplyEnd) => LocalHost,
): RequestEnd {
  const toClients = handOver<LinkFrame>(handlers.onFrame, () => handlers.onChunkEnd?.())
  const host = attach({
    bufferedBytes: 0,
    reply: (connection, batchId, final, message) => {
      toClients({ type: 'reply', connection, batchId, final, message })
    },
    event: (connection, message) => {
      toClients({ type: 'event', connection, message })
    },
  })
  const toHost = handOver<LinkRequest>(
    (frame) => {
      host.onFrame(frame)
    },
    () => {
      host.onChunkEnd()
    },
  )
  return {
    bufferedBytes: 0,
    open: (connection, clientId) => {
      toHost({ type: 'open', connection, clientId })
    },
    close: (connection) => {
      toHost({ type: 'close', connection })
    },
    window: (connection, bytes) => {
      toHost({ type: 'window', connection, bytes })
    },
    batch: (connection, { id: batchId, topologyVersion, remainingMs, body }) => {
      toHost({ type: 'batch', connection, batchId, topologyVersion, remainingMs, body })
    },
    watching: (type, connection, body) => {
      toHost({ type, connection, body })
    },
    end: () => {
      handlers.onEnd()
    },
    destroy: () => {
      handlers.onEnd()
    },
  }
}

function handOver<Frame>(
  take: (frame: Frame) => void,
  onTurnEnd: () => void,
): (frame: Frame) => void {
  let isTurnOpen = false
  return (frame) => {
    if (!isTurnOpen) {
      isTurnOpen = true
      process.nextTick(() => {
        isTurnOpen = false
        onTurnEnd()
      })
    }
    take(frame)
  }
}
