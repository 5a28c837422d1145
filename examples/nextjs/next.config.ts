import type { NextConfig } from "next";

// The browser speaks to this app alone: what would call another host is refused by the browser itself.
const policy = [
  "default-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self' blob:",
  "script-src 'self' 'unsafe-inline'",
  "style-src 'self' 'unsafe-inline'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'self'",
].join("; ");

const config: NextConfig = {
  poweredByHeader: false,
  reactStrictMode: true,
  turbopack: { root: import.meta.dirname },
  async headers() {
    // `next dev` reloads code with eval and a WebSocket, which the policy forbids.
    if (process.env.NODE_ENV !== "production") return [];
    const headers = [
      { key: "Content-Security-Policy", value: policy },
      { key: "X-Content-Type-Options", value: "nosniff" },
      { key: "Referrer-Policy", value: "same-origin" },
    ];
    return [{ source: "/:path*", headers }];
  },
};

export default config;
