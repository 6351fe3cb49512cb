import EspalierCommand

Espalier.main()
