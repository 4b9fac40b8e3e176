/**
 * Stands between a client and a node, reads along, and can hold back what the node says or cut the
 * line: the network as it is on a bad day.
 */
import type { ClientMessage } from '@kv/protocol'
import { decodeClientMessage } from '@kv/protocol'
import type { WebSocket, WebSocketServer } from './web-socket.js'
import { listenForWebSockets, openWebSocket } from './web-socket.js'

interface Line {
  readonly client: WebSocket
  readonly node: WebSocket
  /** From the node, not handed on yet. */
  held: Buffer[]
}

export class MessageTap {
  readonly url: string
  private readonly server: WebSocketServer
  private readonly lines = new Set<Line>()
  private messages: ClientMessage[] = []
  private isHolding = false

  private constructor(server: WebSocketServer, url: string) {
    this.server = server
    this.url = url
  }

  static async start(target: string): Promise<MessageTap> {
    const { server, url } = await listenForWebSockets((client) => {
      // Nothing is read before the other half of the line is there.
      client.pause()
      void tap.connect(client, target)
    })
    const tap: MessageTap = new MessageTap(server, url)
    return tap
  }

  /** What clients sent since the last call. */
  takeMessages(): ClientMessage[] {
    const { messages } = this
    this.messages = []
    return messages
  }

  get batchCount(): number {
    return this.messages.filter((message) => message.type === 'batch').length
  }

  /** From now on clients hear nothing of the node. */
  hold(): void {
    this.isHolding = true
  }

  release(): void {
    this.isHolding = false
    for (const { client, held } of this.lines)
      for (const bytes of held.splice(0)) client.send(bytes)
  }

  get heldCount(): number {
    return [...this.lines].reduce((count, { held }) => count + held.length, 0)
  }

  /** Cuts one line without a word: the one that `choice`, any whole number, falls on. */
  cutOne(choice: number): void {
    const lines = [...this.lines]
    const line = lines[choice % lines.length]
    line?.client.terminate()
    line?.node.terminate()
  }

  /** Cuts every line without a word. */
  cut(): void {
    for (const { client, node } of this.lines) {
      client.terminate()
      node.terminate()
    }
    this.lines.clear()
  }

  close(): Promise<void> {
    this.cut()
    return new Promise((resolve) => {
      this.server.close(() => resolve())
    })
  }

  private async connect(client: WebSocket, target: string): Promise<void> {
    let node: WebSocket
    try {
      node = await openWebSocket(target)
    } catch {
      client.terminate()
      return
    }
    const line: Line = { client, node, held: [] }
    this.lines.add(line)
    client.on('message', (data) => {
      const bytes = data as Buffer
      this.messages.push(decodeClientMessage(bytes))
      node.send(bytes)
    })
    node.on('message', (data) => {
      if (this.isHolding) line.held.push(data as Buffer)
      else client.send(data as Buffer)
    })
    const end = (): void => {
      client.close()
      node.close()
      this.lines.delete(line)
    }
    client.on('error', end).on('close', end)
    node.on('error', end).on('close', end)
    client.resume()
  }
}
