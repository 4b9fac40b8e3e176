/**
 * Serves the page of the demo: the few files that were built, and nothing else. The data is not
 * here: the page connects to the node itself, whose address is written into the document.
 */
import { readFileSync, readdirSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const BUILT = fileURLToPath(new URL('page', import.meta.url))
const URL_IN_DOCUMENT = /(<meta name="kv-url" content=")[^"]*/

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
}

export interface PageServer extends AsyncDisposable {
  readonly url: string
}

/** On a free port of this machine only. */
export async function servePage(nodeUrl: string): Promise<PageServer> {
  const files = readFiles(nodeUrl)
  const policy = policyFor(nodeUrl)
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
    const file = files.get(path === '/' ? '/index.html' : path)
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (file === undefined || !isRead) {
      answer(response, 404, 'text/plain', 'nothing is here\n')
      return
    }
    response.setHeader('content-security-policy', policy)
    answer(response, 200, file.type, request.method === 'HEAD' ? '' : file.content)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections()
      return new Promise((resolve) => {
        server.close(() => resolve())
      })
    },
  }
}

interface ServedFile {
  readonly type: string
  readonly content: Buffer | string
}

/** Path in a URL → file. All of them are read now: a request never touches the disk. */
function readFiles(nodeUrl: string): ReadonlyMap<string, ServedFile> {
  const found = readdirSync(BUILT, { recursive: true, withFileTypes: true })
  const files = found.filter((entry) => entry.isFile())
  return new Map(
    files.map((entry) => {
      const file = join(entry.parentPath, entry.name)
      const path = `/${relative(BUILT, file).split(sep).join('/')}`
      const type = TYPES[extname(file)] ?? 'application/octet-stream'
      const bytes = readFileSync(file)
      const isDocument = path === '/index.html'
      const content = isDocument
        ? bytes.toString().replace(URL_IN_DOCUMENT, (_, before: string) => before + nodeUrl)
        : bytes
      return [path, { type, content }]
    }),
  )
}

/** What the page may load and connect to: its own files, and the node. */
function policyFor(nodeUrl: string): string {
  const { host } = new URL(nodeUrl.replace(/^kv:/, 'http:'))
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src ws://${host} http://${host}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

function answer(
  response: ServerResponse,
  status: number,
  type: string,
  content: Buffer | string,
): void {
  response.writeHead(status, {
    'content-type': `${type}; charset=utf-8`,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  })
  response.end(content)
}
