# Shows proloop at work: builds the samples with Visual Studio, serves the folder docs by samples\httpd, fetches pages from
# it, and loads the echo server by its client. It only talks to this machine.
#
#   scripts\demo.ps1

$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'visual_studio.ps1')
Set-Location (Join-Path $PSScriptRoot '..')

$folder = 'build\demo'
$programs = Join-Path $folder 'samples\Release'

# Starts a server that says where it listens; returns its process and that address.
function Start-Server([string]$Name, [string[]]$Arguments) {
    $output = Join-Path $folder "$Name.out"
    $server = Start-Process -FilePath (Join-Path $programs "$Name.exe") -ArgumentList $Arguments -NoNewWindow -PassThru `
        -RedirectStandardOutput $output
    for ($i = 0; $i -lt 100; $i++) {
        $said = Select-String -Path $output -Pattern '^listening on (\S+)'
        if ($said) {
            $address = $said.Matches[0].Groups[1].Value
            Write-Host "$Name listens on $address"
            return @{ Process = $server; Address = $address }
        }
        if ($server.HasExited) {
            break
        }
        Start-Sleep -Milliseconds 100
    }
    throw "$Name does not listen"
}

Write-Host "== Building the samples into $folder"
Invoke-Checked $cmake @('-S', '.', '-B', $folder, '-DPROLOOP_BUILD_TESTS=OFF', '-DPROLOOP_BUILD_BENCH=OFF')
Invoke-Checked $cmake @('--build', $folder, '--config', 'Release', '--parallel')

$servers = @()
try {
    Write-Host "`n== A web server: samples\httpd serves the folder docs"
    $httpd = Start-Server 'httpd' @('--port', '0', 'docs')
    $servers += $httpd.Process
    $site = $httpd.Address.TrimEnd('/')
    foreach ($page in Get-ChildItem docs -File) {
        $body = Join-Path $folder 'body'
        Invoke-WebRequest -UseBasicParsing "$site/$($page.Name)" -OutFile $body
        if ((Get-FileHash $body).Hash -ne (Get-FileHash $page.FullName).Hash) {
            throw "$($page.Name) came otherwise than it is"
        }
        Write-Host "GET /$($page.Name): its $($page.Length) bytes, compared"
    }

    Write-Host "`n== An echo server and its client: every byte compared"
    $echo = Start-Server 'echo_server' @('--port', '0')
    $servers += $echo.Process
    $port = $echo.Address.Split(':')[-1]
    Invoke-Checked (Join-Path $programs 'echo_client.exe') @('--port', $port, '--connections', '200', '--seconds', '5')
} finally {
    $servers | Stop-Process -ErrorAction SilentlyContinue
}
Write-Host "`nAll of it was as it should be."
