import type { Backend } from './backend.ts'

/**
 * The best nginx configuration for this purpose: a POST may also go to the next server, on every condition that nginx supports
 * (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_next_upstream), responses are not buffered, and connections
 * are kept open. One process, so that it can be ended by its id.
 */
export function nginxConfig(port: number, backends: readonly Backend[], timeoutSeconds: number): string {
  return `
daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log /dev/null crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_buffer_size 1m;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  ${backends.map(upstream).join('\n  ')}
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://$http_x_backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_connect_timeout ${timeoutSeconds}s;
      proxy_read_timeout ${timeoutSeconds}s;
      proxy_send_timeout ${timeoutSeconds}s;
      proxy_next_upstream error timeout invalid_header http_403 http_404 http_429
        http_500 http_502 http_503 http_504 non_idempotent;
      proxy_next_upstream_tries 3;
    }
  }
}
`
}

function upstream({ name, ports }: Backend): string {
  return `upstream ${name} { ${ports.map((port) => `server 127.0.0.1:${port};`).join(' ')} keepalive 32; }`
}
